"""What `fieldhub check` says of Modbus devices: all mistakes of an address, and what only the options show."""

import pytest

from drivers.modbus.driver import SPEC
from drivers.modbus.options import Options
from drivers.modbus.together import together
from hub.contract import BadConfig
from hub.model import Device

DTU = "modbus+dtu:860123456789012/1"


def device(id: str, address: str) -> Device:
    return Device(id, id, "pump_station", address, "ps-2026")


def said(options: Options, *addresses: str) -> list[str]:
    return [f"{it.id} › {what}" for it, what in together([device(a[-1], a) for a in addresses], options)]


def test_a_dtu_without_a_port_to_dial_into_is_a_mistake():
    assert said(Options(), DTU) == [
        f'1 › address "{DTU}" › is a DTU\'s, and no port is open for them. '
        "Set dtu_port in [drivers.modbus] of hub.toml, like dtu_port = 5020"
    ]
    assert said(Options(dtu_port=5020), DTU) == []


def test_two_devices_that_set_one_serial_line_otherwise_are_a_mistake():
    line = "modbus+rtu:///dev/ttyS0?baud={}#{}"
    assert said(Options(), line.format(9600, 1), line.format(9600, 2)) == []
    assert said(Options(), line.format(9600, 1), line.format(19200, 2)) == [
        '2 › address "modbus+rtu:///dev/ttyS0?baud=19200#2" › sets its line otherwise than "1" on the same line does. '
        "Write what follows the ? alike for both"
    ]


def test_an_address_that_cannot_be_read_is_left_to_check():
    assert said(Options(), "modbus+tcp://:502/1") == []


MANY = [
    (
        "modbus+tcp:10.0.4.7:70000/300",
        [
            "has no // after modbus+tcp:.",
            'port "70000" is no port. Write a number from 1 to 65535.',
            '"300" is no unit (a number from 0 to 255). Write it like: modbus+tcp://10.0.4.7:502/1',
        ],
    ),
    (
        "modbus+rtu:///dev/ttyS0?baud=9601&parity=X&stop=3#0",
        [
            'baud is "9601". Write one of: 1200, 2400, 4800, 9600, 14400, 19200, 38400, 57600, 115200.',
            'stop is "3". Write one of: 1, 2.',
            'parity is "X". Write N, E or O.',
            '"0" is no unit (a number from 1 to 247). Write it like: modbus+rtu:///dev/ttyS0?baud=9600#3',
        ],
    ),
    (
        "modbus+dtu:/x",
        [
            "has no registration id (1 to 64 letters, digits or signs, no space).",
            '"x" is no unit (a number from 1 to 247). Write it like: modbus+dtu:860123456789012/1',
        ],
    ),
]


@pytest.mark.parametrize(("address", "whats"), MANY)
def test_every_mistake_of_an_address_is_said_at_once(address: str, whats: list[str]):
    with pytest.raises(BadConfig) as bad:
        SPEC.check(device("d", address))
    assert list(bad.value.mistakes) == [f'address "{address}" › {what}' for what in whats]


def test_the_shipped_profiles_say_which_kinds_of_device_they_are_for():
    assert set(SPEC.kinds()) == {"pump_station", "drive", "meter", "flow_meter"}
