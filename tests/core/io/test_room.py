"""Threads together take no more than there is room for, and none waits for ever."""

from __future__ import annotations

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from dckt_core.io import images
from dckt_core.io.images import DECODED, KEPT, open_image
from dckt_core.io.room import Room


class Thing:
    pass


def test_takes_no_more_than_there_is():
    room = Room(100)

    def work(_: int) -> None:
        with room.taken(40):
            time.sleep(0.005)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(24)))

    assert (room.used, room.most) == (0, 80)


def test_what_is_larger_than_the_room_gets_it_alone():
    room = Room(100)

    def work(size: int) -> None:
        with room.taken(size):
            time.sleep(0.005)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, [250, 10, 250, 10]))

    assert room.most <= 260


def test_what_is_kept_counts_until_it_is_gone():
    room = Room(100)
    thing = Thing()
    room.keep(thing, 60)
    assert room.used == 60
    del thing
    gc.collect()
    assert room.used == 0


def test_what_a_thread_keeps_itself_is_not_waited_for():
    room = Room(100, patience=60)
    things = [Thing() for _ in range(5)]
    for thing in things:
        with room.taken(80):
            room.keep(thing, 60)
    assert room.used == 300


def test_what_another_thread_keeps_is_waited_for_and_not_for_ever():
    room = Room(100, patience=0.05)
    thing = Thing()
    room.keep(thing, 90)
    done = []

    def work() -> None:
        with room.taken(50):
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(timeout=30)
    assert done


@pytest.mark.parametrize("count", [12])
def test_pictures_in_flight_are_counted_over_all_threads(tmp_path, monkeypatch, count):
    side = 200
    for number in range(count):
        Image.new("RGB", (side, side), (number, 0, 0)).save(tmp_path / f"{number}.png")
    room = Room(2 * side * side * DECODED)
    monkeypatch.setattr(images, "_room", room)

    def scaled(number: int) -> tuple[int, ...]:
        return open_image(tmp_path / f"{number}.png").resize((8, 8)).getpixel((0, 0))

    with ThreadPoolExecutor(8) as pool:
        assert [red for red, _, _ in pool.map(scaled, range(count))] == list(range(count))

    gc.collect()
    assert room.used == 0
    assert side * side * DECODED <= room.most <= room.size + 8 * side * side * KEPT
