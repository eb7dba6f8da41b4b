"""Agents: a filter and a controller behind one policy, and presets by name."""

if __name__ != "pcctrl.agents":
    raise ImportError("import pcctrl.agents, not " + __name__)

from pcctrl.agents.agent import Agent, AgentState, Card, Filter
from pcctrl.agents.presets import PRESETS, describe, make, task_of
from pcctrl.agents.realtime import RealTimeAgent

__all__ = ["PRESETS", "Agent", "AgentState", "Card", "Filter", "RealTimeAgent", "describe", "make", "task_of"]
