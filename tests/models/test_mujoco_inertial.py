"""Gyroscopes and accelerometers that are put on a model's bodies."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from pcctrl.models import MujocoModel
from pcctrl.models.mujoco.inertial import mounted, wants

LINKS = """<mujoco><worldbody><geom name="floor" type="plane" size="1 1 1"/><body name="link" pos="0 0 1">
<joint name="a" axis="1 0 0"/><geom size=".1"/><body name="link_1" pos="0 0 -.4"><joint name="b" axis="0 1 0"/>
<geom size=".1"/><site name="tip"/></body></body></worldbody>
<actuator><motor joint="a"/><general site="tip" gear="0 0 0 0 1 0"/></actuator></mujoco>"""


def test_a_body_of_the_whole_name_goes_before_a_number() -> None:
    sensed = MujocoModel(LINKS, sensors=["gyro:link_1"])
    assert sensed.sensors == ("gyro:link_1_0", "gyro:link_1_1", "gyro:link_1_2")
    # Only the second body turns about its second axis.
    x, u = np.array([0.0, 0.0, 0.0, 2.0]), np.zeros(2)
    np.testing.assert_allclose(sensed.readout(x, u), [0.0, 2.0, 0.0], atol=1e-12)
    one = MujocoModel(LINKS, sensors=["gyro:link_1_1", "gyro:link_0", "gyro:link_2"])
    assert one.sensors == ("gyro:link_1_1", "gyro:link_0", "gyro:link_2")
    np.testing.assert_allclose(one.readout(np.array([0.0, 0.0, 3.0, 2.0]), u), [2.0, 3.0, 0.0], atol=1e-12)


def test_what_was_changed_since_is_kept() -> None:
    changed = mujoco.MjModel.from_xml_string(LINKS)
    changed.opt.gravity[:] = 0.0
    changed.opt.wind[:] = 1.0, 2.0, 3.0
    changed.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
    changed.opt.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    changed.opt.timestep, changed.opt.viscosity = 0.001, 0.5
    changed.geom_contype[1] = 0
    changed.geom_size[1] = 0.2
    changed.body_mass[1] = 3.0
    model = mounted(LINKS, wants(["gyro:link"]), changed)
    assert model.nsensor == 1
    for name in dir(changed.opt):
        if not name.startswith("_"):
            np.testing.assert_array_equal(getattr(model.opt, name), getattr(changed.opt, name), name)
    for name in ("geom_contype", "geom_size", "body_mass"):
        np.testing.assert_array_equal(getattr(model, name), getattr(changed, name), name)
    # The site that an actuator pulls stands later in the list now.
    assert model.site(int(model.actuator_trnid[1, 0])).name == "tip"
    # Negative control: as the file has it, it is not.
    assert mounted(LINKS, wants(["gyro:link"]), mujoco.MjModel.from_xml_string(LINKS)).opt.gravity[2] == pytest.approx(
        -9.81
    )
