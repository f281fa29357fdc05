"""What comes and goes by itself: remotes that are away, a mail server that is, clocks, restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conftest import KOHA, STRIPE

if TYPE_CHECKING:
    from tests.faults.setting import Setting

_TURNS = ("ils_down_minutes", "ils_down_days", "provider_down", "mail_down", "clock_step", "restart_in_work")


def start(setting: Setting) -> None:
    """Let the weather of this seed come up."""
    weather = Weather(setting)
    setting.scheduler.spawn("weather", weather.come)


class Weather:
    """Turns switches at random moments of the first hour."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.rng = setting.rng

    def come(self) -> None:
        setting, mix, rng = self.setting, self.setting.mix, self.rng
        if mix.strikes("clock_skew"):
            setting.world.offset = rng.choice((-700.0, 700.0))
            setting.scheduler.note(f"our clock is {setting.world.offset} s off")
        turns = [name for name in _TURNS if mix.has(name) and rng.random() < mix.chance[name]]
        rng.shuffle(turns)
        for turn in turns:
            setting.scheduler.sleep(rng.choice((1, 10, 40, 200)))
            if mix.calm:
                return
            setting.scheduler.note(f"weather: {turn}")
            self.turn(turn)

    def turn(self, name: str) -> None:
        setting, rng, now = self.setting, self.rng, self.setting.scheduler.seconds
        match name:
            case "ils_down_minutes" | "ils_down_days":
                span = (60, 300, 2000) if name == "ils_down_minutes" else (100_000, 200_000)
                outage = setting.gates[KOHA].outage
                outage.until, outage.switch = now + rng.choice(span), name
            case "provider_down":
                outage = setting.gates[STRIPE].outage
                outage.until, outage.switch = now + rng.choice((60, 600, 7200)), name
            case "mail_down":
                setting.mix.fired[name] += 1
                setting.world.mail_works = False
            case "clock_step":
                # Forward jumps and late effects together stay below the quarantine: nobody can wait less.
                setting.mix.fired[name] += 1
                setting.world.offset += rng.choice((-3600, -130, 130))
            case _:
                setting.mix.fired[name] += 1
                for instance in setting.instances:
                    if instance.house is not None:
                        instance.die(rng.choice((0, 5, 100)))
