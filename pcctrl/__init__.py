"""pcctrl: active-inference control for robots whose sensors are not white."""

__version__ = "0.1.0"
