"""Writes the demo data of recipes/forecasting.py: made-up daily sales of two ice cream stalls.

    python scripts/make_forecasting_demo_data.py [--output_dir recipes/demo]

Sales have a trend, a week, noise that lasts some days, and an outside input: the forecast of tomorrow's temperature,
which counts on warm days alone, and more at the larger stall. So yesterday's sales are a poor forecast, last week's a
better one, and a linear model on all numbers misses that cold days are alike. Nothing is copied from a real shop. The
draw uses only `random.Random(seed).random()`, which gives the same numbers on every Python.
"""

import argparse
import csv
import io
import math
import random
from datetime import date, timedelta
from pathlib import Path

DAYS, BEGIN = 1200, date(2021, 3, 1)
STALLS = {"harbor": (120.0, 16.0), "market": (70.0, 7.0)}  # sales of a cold day, and of each degree above WARM
WARM = 17.0  # degrees Celsius
WEEK = (0.85, 0.85, 0.9, 0.95, 1.1, 1.35, 1.25)  # Monday first


def normal(draw: random.Random) -> float:
    """A standard normal number, by Box and Muller."""
    return math.sqrt(-2 * math.log(1 - draw.random())) * math.cos(2 * math.pi * draw.random())


def temperatures(draw: random.Random) -> list[float]:
    """Of each day and the one after the last: a year and weather that lasts some days, degrees Celsius."""
    weather, days = 0.0, []
    for day in range(DAYS + 1):
        weather = 0.5 * weather + 4.0 * normal(draw)
        days.append(15 - 8 * math.cos(2 * math.pi * (day + 59) / 365.25) + weather)
    return days


def sales(draw: random.Random, cold: float, each_degree: float, warmth: list[float]) -> list[int]:
    """Of each day, whole cones."""
    mood, sold = 0.0, []
    for day in range(DAYS):
        mood = 0.5 * mood + 0.03 * normal(draw)
        expected = (cold + each_degree * max(0.0, warmth[day] - WARM)) * (1 + day / 4000) * WEEK[day % 7]
        sold.append(round(expected * math.exp(mood)))
    return sold


def csv_text(seed: int = 0) -> str:
    """The file."""
    draw, file = random.Random(seed), io.StringIO()
    warmth = temperatures(draw)
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["day", "stall", "weekend_tomorrow", "forecast_temperature", "sales"])
    for stall, (cold, each_degree) in STALLS.items():
        for day, sold in enumerate(sales(draw, cold, each_degree, warmth)):
            tomorrow = BEGIN + timedelta(days=day + 1)
            forecast = warmth[day + 1] + 0.5 * normal(draw)
            writer.writerow(
                [BEGIN + timedelta(days=day), stall, int(tomorrow.weekday() >= 5), round(forecast, 1), sold]
            )
    return file.getvalue()


def main() -> None:
    """Writes series.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output_dir", type=Path, default=Path(__file__).parent.parent / "recipes" / "demo")
    folder = parser.parse_args().output_dir / "forecasting"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "series.csv").write_text(csv_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
