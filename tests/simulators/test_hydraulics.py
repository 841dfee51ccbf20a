"""Pumps, pipes and sumps of the make-believe world, against water.md §8 and against EPANET's own solver."""

from dataclasses import dataclass

import pytest
from epanet import toolkit as en
from hypothesis import given
from hypothesis import strategies as st

from simulators.worlds.hydraulics import Basin, Curve, Pipe, Rising, Running, operating_point

CURVE = Curve(((0.0, 16.0), (1000.0, 12.0), (1600.0, 6.0)))
PIPES = (Pipe(5, 0.6), Pipe(800, 0.5, 120.0, 2.5))  # water.md §8: 805 m, mostly d500
STATIC_M = 6.0

# pumps, speed, m3/h in all, m
TABLE = [
    (1, 1.0, 1158.7, 10.669),
    (2, 1.0, 1513.3, 13.678),
    (1, 0.8, 741.4, 8.033),
    (1, 0.65, 301.8, 6.381),
    (1, 0.6, 0.0, 6.0),
]


def ours(speeds, curve=CURVE, pipes=PIPES, lift_m=STATIC_M) -> tuple[float, list[float]]:
    return operating_point([Running(curve, speed) for speed in speeds], Rising(tuple(pipes)), lift_m)


@pytest.mark.parametrize(("pumps", "speed", "flow", "head"), TABLE)
def test_the_design_table_is_met_within_half_a_percent(pumps, speed, flow, head):
    at, flows = ours([speed] * pumps)
    assert sum(flows) == pytest.approx(flow, rel=0.005, abs=0.01)
    assert at == pytest.approx(head, rel=0.005)


@dataclass
class Referee:
    """EPANET 2.3 solves the same network: reservoir, pumps side by side, pipes in series, reservoir."""

    curve: Curve
    pipes: tuple[Pipe, ...]
    lift_m: float

    def solve(self, speeds) -> tuple[float, list[float]]:
        project = en.createproject()
        try:
            return self._solve(project, speeds)
        finally:
            en.deleteproject(project)

    def _solve(self, project, speeds) -> tuple[float, list[float]]:
        en.init(project, "", "", en.CMH, en.HW)
        en.setoption(project, en.ACCURACY, 1e-6)
        suction = en.addnode(project, "suction", en.RESERVOIR)
        river = en.addnode(project, "river", en.RESERVOIR)
        en.setnodevalue(project, suction, en.ELEVATION, 0.0)
        en.setnodevalue(project, river, en.ELEVATION, self.lift_m)
        nodes = [f"n{n}" for n in range(len(self.pipes))]
        for node in nodes:
            en.setnodevalue(project, en.addnode(project, node, en.JUNCTION), en.ELEVATION, 0.0)
        for n, (pipe, begin, end) in enumerate(zip(self.pipes, nodes, [*nodes[1:], "river"], strict=True)):
            link = en.addlink(project, f"pipe{n}", en.PIPE, begin, end)
            en.setpipedata(project, link, pipe.length_m, pipe.diameter_m * 1000, pipe.roughness, pipe.minor)
        en.addcurve(project, "curve")
        for n, (flow, head) in enumerate(self.curve.points, 1):
            en.setcurvevalue(project, 1, n, flow, head)
        links = []
        for n, speed in enumerate(speeds):
            link = en.addlink(project, f"pump{n}", en.PUMP, "suction", nodes[0])
            en.setheadcurveindex(project, link, 1)
            en.setlinkvalue(project, link, en.INITSETTING, speed)
            links.append(link)
        en.openH(project)
        en.initH(project, en.NOSAVE)
        en.runH(project)
        head = en.getnodevalue(project, en.getnodeindex(project, nodes[0]), en.HEAD)
        return head, [en.getlinkvalue(project, link, en.FLOW) for link in links]


@pytest.mark.filterwarnings("ignore:WARNING")  # that the slowest of three pumps cannot lift; neither can ours
@pytest.mark.parametrize(
    "speeds", [(1.0,), (1.0, 1.0), (0.8,), (0.65,), (1.0, 0.9), (1.0, 1.0, 1.0), (0.95, 0.9, 0.85)]
)
def test_the_referee_epanet_agrees_within_half_a_percent(speeds):
    head, flows = ours(speeds)
    referee_head, referee_flows = Referee(CURVE, PIPES, STATIC_M).solve(speeds)
    assert head == pytest.approx(referee_head, rel=0.005)
    assert flows == pytest.approx(referee_flows, rel=0.005, abs=0.5)


@pytest.mark.parametrize(
    ("points", "pipe", "lift"),
    [
        (((0, 30.0), (420, 22.0), (672, 11.0)), Pipe(216, 0.42, 120, 2.2), 17.0),  # an irrigation lift
        (((0, 6.7), (4200, 5.0), (6720, 2.5)), Pipe(80, 1.67, 120, 2.2), 3.9),  # a drainage station
        (((0, 13.4), (760, 10.0), (1216, 5.0)), Pipe(2400, 0.6, 110, 5.0), 4.0),  # a long main
    ],
)
def test_the_referee_agrees_on_other_stations_too(points, pipe, lift):
    curve = Curve(points)
    for speeds in ((1.0,), (1.0, 1.0), (1.0, 0.85)):
        head, flows = ours(speeds, curve, [pipe], lift)
        referee_head, referee_flows = Referee(curve, (pipe,), lift).solve(speeds)
        assert head == pytest.approx(referee_head, rel=0.005)
        assert flows == pytest.approx(referee_flows, rel=0.005, abs=1.0)


@given(st.floats(0.3, 1.1), st.floats(0.0, 20.0))
def test_affinity_laws_flow_goes_with_speed_and_head_with_its_square(speed, head):
    assert CURVE.flow_m3h(head * speed**2, speed) == pytest.approx(CURVE.flow_m3h(head, 1.0) * speed, abs=1e-6)
    if flow := CURVE.flow_m3h(head, 1.0):
        assert CURVE.head_m(flow * speed, speed) == pytest.approx(head * speed**2, abs=1e-6)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6), st.floats(-3.0, 15.0))
def test_pumps_and_pipe_always_agree(speeds, lift):
    head, flows = ours(speeds, lift_m=lift)
    assert all(flow >= 0 for flow in flows)
    if sum(flows) > 0.5:
        assert lift + Rising(PIPES).loss_m(sum(flows)) == pytest.approx(head, abs=1e-3)
    else:
        assert head == pytest.approx(lift, abs=1e-3)


@given(st.floats(-0.5, 8.0))
def test_a_basin_finds_its_level_again_from_its_volume(rise):
    basin = Basin(((4.0, 30.0), (5.0, 40.0), (7.0, 40.0), (8.0, 90.0)))
    level = 4.0 + max(rise, 0.0)
    assert basin.level_m(basin.volume_m3(level)) == pytest.approx(level, abs=1e-9)


def test_a_basin_s_volume_is_its_surface_added_up():
    basin = Basin(((4.0, 30.0), (5.0, 40.0), (7.0, 40.0)))
    assert basin.volume_m3(4.0) == 0
    assert basin.volume_m3(5.0) == pytest.approx(35.0)
    assert basin.volume_m3(6.5) == pytest.approx(35.0 + 60.0)
    assert basin.volume_m3(8.0) == pytest.approx(35.0 + 120.0)  # upright walls above the last line
