"""The demo county: its towns and villages, and twelve pump stations of different sizes on different wires.

All names are invented. Small sumps and generous inflow: a level moves within minutes, and the pumps keep their rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from simulators.worlds.hydraulics import Basin, Curve, Pipe, Rising
from simulators.worlds.inflow import Catchment
from simulators.worlds.motor import DIRECT, INVERTER, SOFT, Motor, Starter
from simulators.worlds.plc import Limits, Settings
from simulators.worlds.pump_station import Parameters, PumpSpec

COUNTY = "340299000000"
AREAS: tuple[tuple[str, str, str], ...] = (  # code, name, parent
    (COUNTY, "澄川县", ""),
    ("340299100000", "城关镇", COUNTY),
    ("340299100001", "东门社区", "340299100000"),
    ("340299100002", "南桥社区", "340299100000"),
    ("340299100003", "北门社区", "340299100000"),
    ("340299101000", "东圩镇", COUNTY),
    ("340299101201", "新河村", "340299101000"),
    ("340299101202", "双口村", "340299101000"),
    ("340299101203", "东圩村", "340299101000"),
    ("340299102000", "柳湖镇", COUNTY),
    ("340299102201", "柳湖村", "340299102000"),
    ("340299102202", "前进村", "340299102000"),
    ("340299103000", "石桥镇", COUNTY),
    ("340299103201", "石桥村", "340299103000"),
    ("340299103202", "大湾村", "340299103000"),
    ("340299103203", "小杨村", "340299103000"),
)


@dataclass(frozen=True)
class Site:
    """A station on the map and on a wire. `wire`: tcp, gateway, rtu (over TCP), dtu (dials in)."""

    id: str
    name: str
    name_en: str
    area: str
    parameters: Parameters
    wire: str = "tcp"
    unit: int = 1
    imei: str = ""


def _pump(flow_m3h: float, head_m: float, starter: Starter) -> PumpSpec:
    """A pump for this duty, with the next motor that is sold for it."""
    curve = Curve(((0.0, 1.34 * head_m), (flow_m3h, head_m), (1.6 * flow_m3h, 0.5 * head_m)))
    efficiency = 0.70 + min(flow_m3h, 4000) / 4000 * 0.12
    needs_kw = 9.81 * flow_m3h / 3600 * head_m / efficiency * 1.2
    plates = (7.5, 11, 15, 18.5, 22, 30, 37, 45, 55, 75, 90, 110, 132, 160, 200)
    plate = next((kw for kw in plates if kw >= needs_kw), plates[-1])
    motor = Motor(plate, efficiency=0.89 + plate / 200 * 0.05, starter=starter, spin_down_s=8 + plate / 20)
    return PumpSpec(curve, flow_m3h, motor, efficiency, valve_s=6 + plate / 15)


def _station(
    flow_m3h: float,
    head_m: float,
    count: int,
    floor_m: float,
    starter: Starter,
    share: float = 0.55,
    fill: float = 0.5,
    ramp_s: float = 0.0,
) -> Parameters:
    """`count` pumps of this duty above a floor at `floor_m`; `share` of one pump's water comes in
    by itself, and at the start the level stands at `fill` between stop and start."""
    if ramp_s:
        starter = Starter(ramp_s, starter.inrush, starter.steers_speed, starter.efficiency)
    surface_m2 = flow_m3h / 24
    diameter = sqrt(flow_m3h * count / 3600 / 1.6 * 4 / 3.1416)
    lift_m = 0.78 * head_m
    return Parameters(
        pumps=(_pump(flow_m3h, head_m, starter),) * count,
        basin=Basin(((floor_m, 0.7 * surface_m2), (floor_m + 1.0, surface_m2), (floor_m + 3.6, 1.5 * surface_m2))),
        rising=Rising((Pipe(40 + 8 * head_m, round(diameter, 2), 120.0, 2.2),)),
        catchment=Catchment(share * flow_m3h, area_km2=flow_m3h * count / 14000, runoff=0.6, lag_s=70.0),
        settings=Settings(
            start_mm=round((floor_m + 1.7) * 1000),
            stop_mm=round((floor_m + 0.9) * 1000),
            low_low_mm=round((floor_m + 0.5) * 1000),
            high_high_mm=round((floor_m + 2.8) * 1000),
            duty_digits=int("1234"[:count]),
            rotation_h=1,
        ),
        level_m=floor_m + 0.9 + 0.8 * fill,
        outer_m=floor_m + 1.2 + lift_m,
        intake_m=floor_m + 0.25,
        spill_m=floor_m + 3.4,
        header_m=floor_m + 2.0,
        limits=Limits(starts_per_hour=15, rest_s=20.0, stagger_s=10.0, shortest_run_s=60.0, hold_s=300.0),
        haste=4.0,
        served_h=3000 * share + 10 * flow_m3h % 700,
    )


SITES: tuple[Site, ...] = (
    Site("ps-chengdong-1", "城东一号泵站", "Chengdong 1", "340299100001", _station(900, 9, 3, 5.2, SOFT, 0.55, 0.97)),
    Site("ps-chengnan-1", "城南泵站", "Chengnan", "340299100002", _station(1400, 8, 4, 4.6, SOFT, 0.9, 1.0)),
    Site("ps-beimen-1", "北门雨水泵站", "Beimen stormwater", "340299100003",
         _station(2200, 6, 4, 3.9, SOFT, 0.35, 0.6)),
    Site("ps-dongwei-1", "东圩排涝站", "Dongwei drainage", "340299101203", _station(4200, 5, 3, 4.1, SOFT, 0.6, 0.9)),
    Site("ps-xinhe-1", "新河泵站", "Xinhe", "340299101201", _station(650, 10, 2, 6.0, DIRECT, 0.65, 0.2)),
    Site("ps-shuangkou-1", "双口泵站", "Shuangkou", "340299101202", _station(520, 7, 2, 4.8, DIRECT, 0.5, 0.95),
         wire="dtu", imei="861234050000017"),
    Site("ps-liuhu-1", "柳湖一站", "Liuhu 1", "340299102201", _station(1100, 6, 2, 4.4, SOFT, 0.55, 0.75),
         wire="gateway", unit=1),
    Site("ps-liuhu-2", "柳湖二站", "Liuhu 2", "340299102201", _station(1100, 6, 3, 4.4, SOFT, 0.85, 1.0),
         wire="gateway", unit=2),
    Site("ps-qianjin-1", "前进泵站", "Qianjin", "340299102202", _station(480, 8, 2, 5.0, DIRECT, 0.55, 0.4),
         wire="gateway", unit=3),
    Site("ps-shiqiao-1", "石桥提水站", "Shiqiao lifting", "340299103201",
         _station(420, 22, 3, 8.5, INVERTER, 0.8, 0.98, ramp_s=15.0)),
    Site("ps-dawan-1", "大湾泵站", "Dawan", "340299103202",
         _station(760, 12, 2, 7.1, INVERTER, 0.6, 0.9, ramp_s=12.0),
         wire="rtu", unit=5),
    Site("ps-xiaoyang-1", "小杨灌溉站", "Xiaoyang irrigation", "340299103203",
         _station(380, 15, 2, 9.3, SOFT, 0.5, 0.85),
         wire="dtu", imei="861234050000025"),
)  # fmt: skip

# Built yesterday, dials in, and stands in nobody's files: somebody has to adopt it.
NEWCOMER = Site("ps-xiaoyang-2", "小杨二站", "Xiaoyang 2", "340299103203", _station(380, 15, 2, 9.3, SOFT, 0.5, 0.6),
                wire="dtu", imei="861234050000033")  # fmt: skip
