from __future__ import annotations

from pathlib import Path

import pytest

from pcctrl.errors import FileError, PcctrlError
from pcctrl.models import MujocoModel

BODY = "<body><joint name='j'/><geom size='0.1'/></body>"
REST = "<actuator><motor joint='j'/></actuator><sensor><jointpos joint='j'/></sensor>"


def mjcf(body: str = BODY, rest: str = "") -> str:
    return f"<mujoco>{rest}<worldbody>{body}</worldbody>{REST}</mujoco>"


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("<mujoco", "well-formed"),
        ("<robot name='urdf'/>", "MJCF"),
        ("<mujoco><nonsense/></mujoco>", "valid MJCF"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><mujoco/>", "document type"),
        (mjcf(f"<replicate count='1000000000'>{BODY}</replicate>"), "100000 elements"),
        (mjcf(f"<replicate count='1000'><replicate count='1000'>{BODY}</replicate></replicate>"), "elements"),
        (mjcf("<flexcomp type='grid' name='f' count='1000 1000 1000'/>" + BODY), "elements"),
        (mjcf("<flexcomp type='grid' name='f' count='20 20 20'/>" + BODY), "elements"),
        (mjcf("<body><joint name='j'/><geom size='0.1' mass=' NaN'/></body>"), "mass"),
        (mjcf().replace("<sensor>", "<sensor><user dim='2000000000'/>"), "dim"),
        (mjcf("<camera name='c' resolution='40000 40000'/>" + BODY), "resolution"),
        (mjcf(f"<replicate count='nan'>{BODY}</replicate>"), "finite numbers"),
        (mjcf(rest="<size memory='900G'/>"), "memory"),
        (mjcf(rest="<size nuserdata='100000000'/>"), "nuserdata"),
        (mjcf(rest="<size nkey='1000000'/>"), "nkey"),
        (mjcf(rest="<option iterations='2000000000' tolerance='0'/>"), "iterations"),
        (mjcf(rest="<asset><mesh name='m' builtin='supersphere' params='100000 1 1'/></asset>"), "params"),
        (mjcf().replace("<motor joint='j'/>", "<general joint='j' dyntype='user' actdim='99999999'/>"), "actdim"),
        (mjcf(f"{'<body>' * 3000}{BODY}{'</body>' * 3000}"), "valid MJCF"),
        (
            mjcf(rest="<asset><texture type='2d' name='t' builtin='flat' width='99999' height='99999'/></asset>"),
            "pixels",
        ),
        (mjcf(rest="<asset><mesh file='/etc/passwd'/></asset>"), "no files"),
        (mjcf(rest="<include file='other.xml'/>"), "no files"),
    ],
)
def test_malformed_and_hostile_strings_are_refused(xml: str, message: str) -> None:
    with pytest.raises(FileError, match=message):
        MujocoModel(xml)


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("<option timestep='0'/>", "timestep"),
        ("<option timestep='1e300'/>", "timestep"),
        ("<option gravity='nan 0 0'/>", "finite numbers"),
    ],
)
def test_numbers_that_no_physics_has_are_refused(rest: str, message: str) -> None:
    with pytest.raises(PcctrlError, match=message):
        MujocoModel(mjcf(rest=rest))


def test_files_stay_within_their_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "outside.xml").write_text("<mujocoinclude/>")
    (home / "link.xml").symlink_to(tmp_path / "outside.xml")
    (home / "part.xml").write_text("<mujocoinclude><option timestep='0.004'/></mujocoinclude>")
    (home / "loop.xml").write_text("<mujocoinclude><include file='loop.xml'/></mujocoinclude>")
    (home / "big.xml").write_text(
        f"<mujocoinclude><worldbody><replicate count='999999'>{BODY}</replicate></worldbody></mujocoinclude>"
    )
    path = home / "model.xml"

    def load(rest: str) -> MujocoModel:
        path.write_text(mjcf(rest=rest))
        return MujocoModel(path)

    assert load("<include file='part.xml'/>").dt == 0.004
    for rest, message in (
        ("<include file='../outside.xml'/>", "within"),
        ("<include file='/etc/passwd'/>", "within"),
        ("<include file='link.xml'/>", "within"),
        ("<include file='missing.xml'/>", "missing.xml"),
        ("<include file='loop.xml'/>", "includes itself"),
        ("<include file='big.xml'/>", "elements"),
        ("<compiler meshdir='../'/>", "within"),
        ("<asset><mesh file='missing.obj'/></asset>", "missing.obj"),
    ):
        with pytest.raises(FileError, match=message):
            load(rest)
    (home / "bytes.xml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileError, match="valid MJCF"):
        MujocoModel(home / "bytes.xml")
    with pytest.raises(FileError, match="directory"):
        MujocoModel(home)


def test_what_files_make_together_is_counted_without_reading_them_again(tmp_path: Path) -> None:
    """A chain of ten files that each include the next ten times would be read ten thousand million times."""
    empty = "<mujocoinclude>{}</mujocoinclude>"
    for k in range(10):
        (tmp_path / f"f{k}.xml").write_text(empty.format(f"<include file='f{k + 1}.xml'/>" * 10))
    (tmp_path / "f10.xml").write_text(empty.format(""))
    geoms = "<geom size='0.1'/>" * 2000
    (tmp_path / "part.xml").write_text(f"<mujoco><worldbody><body name='b'>{geoms}</body></worldbody></mujoco>")
    attach = "<attach model='part' body='b' prefix='{}_'/>"
    assets = "<asset><model name='part' file='part.xml'/></asset>"
    path = tmp_path / "model.xml"

    def load(body: str, rest: str) -> MujocoModel:
        path.write_text(mjcf(body + BODY, rest))
        return MujocoModel(path)

    for body, rest in (
        ("", "<include file='f0.xml'/>"),
        ("".join(attach.format(k) for k in range(60)), assets),
        (f"<replicate count='60'>{attach.format('a')}</replicate>", assets),
    ):
        with pytest.raises(FileError, match="100000 elements"):
            load(body, rest)
    assert load(attach.format("a"), assets).source.ngeom == 2001


def test_something_may_be_called_nan() -> None:
    assert MujocoModel(mjcf().replace("'j'", "'nan'")).states == ("nan_pos", "nan_vel")
