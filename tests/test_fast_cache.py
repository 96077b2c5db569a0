"""Results on disk: found again, never trusted when damaged, never in the way."""

import errno
import json
import os
import pickle
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from coursekit.fast import cache

rng = np.random.default_rng(0)
ARRAYS = (rng.normal(size=(3, 4)), rng.integers(0, 9, (5, 2)), np.float64(2.5) * np.ones(()))


def same(a, b):
    return len(a) == len(b) and all(
        x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(a, b, strict=True)
    )


def output(place):
    (path,) = place.glob("*.npz")
    return path


@pytest.fixture
def place(tmp_path):
    """A folder that keeps ARRAYS under "a"."""
    cache.Cache(tmp_path / "kept").save("a", ARRAYS)
    return tmp_path / "kept"


def test_what_was_kept_is_found_by_another_cache_and_under_its_key_alone(place):
    assert same(cache.Cache(place).load("a"), ARRAYS)
    assert cache.Cache(place).load("b") is None


def test_a_second_save_replaces_the_first(place):
    store = cache.Cache(place)
    store.save("a", ARRAYS[:1])
    assert same(store.load("a"), ARRAYS[:1])


def test_any_edit_of_the_package_makes_another_origin(monkeypatch, tmp_path, place):
    before = cache.origin()
    (tmp_path / "envs.py").write_text("x = 1")
    monkeypatch.setattr(cache, "PACKAGE", tmp_path)
    first = cache.origin()
    (tmp_path / "envs.py").write_text("x = 2")
    assert len({before, first, cache.origin()}) == 3
    assert cache.Cache(place).load("a") is None


@pytest.mark.parametrize("package", cache.LIBRARIES)
def test_another_version_of_what_computes_makes_another_origin(package, monkeypatch):
    before = cache.origin()
    real = cache.version
    monkeypatch.setattr(cache, "version", lambda name: "0" if name == package else real(name))
    assert cache.origin() != before


@pytest.mark.parametrize("what", ["get_host_cpu_name", "get_host_cpu_features"])
def test_a_cache_of_another_processor_is_not_this_one_s(what, monkeypatch, place):
    other = {"get_host_cpu_name": lambda: "k8"}
    other["get_host_cpu_features"] = lambda: SimpleNamespace(flatten=lambda: "+sse2")
    monkeypatch.setattr(cache.binding, what, other[what])
    assert cache.Cache(place).load("a") is None


def test_a_switch_that_chooses_other_machine_code_makes_another_origin(monkeypatch):
    before = cache.origin()
    monkeypatch.setenv("NUMBA_CACHE_DIR", "elsewhere")
    assert cache.origin() == before
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    assert cache.origin() != before


def test_a_fingerprint_tells_values_shapes_types_and_borders_apart():
    x = np.arange(6.0)
    different = [[x], [x + 1], [x.reshape(2, 3)], [x.astype(np.float32)], [x, x], [x[::-1]], []]
    different += [["ab", "c"], ["a", "bc"]]
    assert len({cache.fingerprint(parts) for parts in different}) == len(different)
    assert cache.fingerprint([x[::2]]) == cache.fingerprint([x[::2].copy()])


# Damage


def damaged(place):
    """What is loaded, and the one warning."""
    with pytest.warns(RuntimeWarning, match="the cache entry of a in .* is damaged") as caught:
        found = cache.Cache(place).load("a")
    assert len(caught) == 1
    assert "computed again" in str(caught[0].message)
    return found


@pytest.mark.parametrize("kept", [0, 1, 30, -30, -7])
def test_a_half_written_entry_is_not_used_and_a_warning_says_so(kept, place):
    raw = output(place).read_bytes()
    output(place).write_bytes(raw[:kept])
    assert damaged(place) is None
    cache.Cache(place).save("a", ARRAYS)
    assert same(cache.Cache(place).load("a"), ARRAYS)


def test_no_flipped_bit_ever_gives_other_numbers(place):
    raw = output(place).read_bytes()
    rejected = 0
    for at in range(0, len(raw), max(1, len(raw) // 60)):
        output(place).write_bytes(raw[:at] + bytes([raw[at] ^ 16]) + raw[at + 1 :])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = cache.Cache(place).load("a")
        assert found is None or same(found, ARRAYS)
        rejected += found is None
    assert rejected > 30


def test_a_sound_file_with_other_numbers_in_it_is_rejected_by_its_seal(place):
    with np.load(output(place)) as stored:
        parts = dict(stored)
    parts["arr_0"] = parts["arr_0"] + 1e-12
    np.savez_compressed(output(place), **parts)
    assert damaged(place) is None
    np.savez_compressed(output(place), something=np.ones(3))
    assert damaged(place) is None


def test_two_entries_that_were_exchanged_are_noticed(place):
    store, first = cache.Cache(place), output(place)
    store.save("b", tuple(2 * x for x in ARRAYS))
    (second,) = set(place.glob("*.npz")) - {first}
    raw = first.read_bytes(), second.read_bytes()
    first.write_bytes(raw[1])
    second.write_bytes(raw[0])
    assert damaged(place) is None
    with pytest.warns(RuntimeWarning, match="the cache entry of b in .*checksum differs"):
        assert store.load("b") is None


def test_an_entry_of_another_origin_under_this_name_is_noticed(place, monkeypatch):
    path = output(place)
    monkeypatch.setattr(cache, "LIBRARIES", ("numpy",))
    cache.Cache(place).save("a", ARRAYS)
    (other,) = set(place.glob("*.npz")) - {path}
    monkeypatch.undo()
    other.replace(path)
    assert damaged(place) is None


class Opened:
    """A pickle that leaves a file behind when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("how", ["bare", "as an array"])
def test_nothing_that_somebody_else_put_there_is_executed(how, place, tmp_path):
    trap, sprung = output(place), tmp_path / "sprung"
    if how == "bare":
        trap.write_bytes(pickle.dumps(Opened(sprung)))
    else:
        np.savez(trap, arr_0=np.array([Opened(sprung)], dtype=object), seal=np.array(""))
    assert damaged(place) is None
    assert not sprung.exists()


def test_a_file_of_a_writer_that_was_killed_is_swept_up_later(place):
    old, new = place / "a.1-1", place / "b.2-2"
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    cache.Cache(place).trim()
    assert (old.exists(), new.exists()) == (False, True)
    assert cache.Cache(place).load("a") is not None


@pytest.mark.slow
def test_a_killed_writer_leaves_whole_entries_only(tmp_path):
    program = (
        "import numpy as np, sys; from coursekit.fast import cache\n"
        "store = cache.Cache(sys.argv[1]); x = np.random.default_rng(0).normal(size=100_000)\n"
        "for k in range(10_000): store.save(str(k % 3), (x + k % 3,)); print(k, flush=True)"
    )
    words = [sys.executable, "-c", program, str(tmp_path)]
    root = Path(cache.__file__).parents[2]
    with subprocess.Popen(words, stdout=subprocess.PIPE, cwd=root) as process:
        for _ in range(5):
            process.stdout.readline()
        process.kill()
    x = np.random.default_rng(0).normal(size=100_000)
    for k in range(3):
        assert same(cache.Cache(tmp_path).load(str(k)), (x + k,))


# A folder that cannot be written


def test_a_folder_that_can_not_be_made_is_named_once_and_nothing_stops(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(RuntimeWarning, match="results are not kept: .*file cannot be wr") as caught:
        store = cache.Cache(tmp_path / "file")
    assert len(caught) == 1
    assert "COURSEKIT_CACHE" in str(caught[0].message)
    store.save("a", ARRAYS)
    store.trim()
    assert not store.open
    assert store.load("a") is None


def full_disk(monkeypatch, room):
    """Every write fails after ``room`` of them, as on a full disk."""
    write, done = np.savez_compressed, []

    def writes(file, *arrays, **named):
        done.append(file)
        if len(done) > room:
            file.write(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        write(file, *arrays, **named)

    monkeypatch.setattr(np, "savez_compressed", writes)


@pytest.mark.parametrize("room", [0, 1, 3])
def test_a_full_disk_is_named_once_and_what_was_kept_before_is_kept(room, tmp_path, monkeypatch):
    def four():
        store = cache.Cache(tmp_path)
        for key in "abcd":
            store.save(key, ARRAYS)
        return store.open

    with monkeypatch.context() as patch:
        full_disk(patch, room)
        with pytest.warns(RuntimeWarning, match="No space left on device") as caught:
            assert not four()
    assert len(caught) == 1
    kept = [key for key in "abcd" if cache.Cache(tmp_path).load(key) is not None]
    assert kept == list("abcd")[:room]
    assert len(list(tmp_path.iterdir())) == room  # and no half of one is left
    assert four()  # there is room again


def test_in_a_run_of_notebooks_it_is_a_note_and_nothing_on_stderr(tmp_path, monkeypatch):
    """A disk that is full, or an entry that is damaged, makes no compared cell red."""
    monkeypatch.setenv("COURSEKIT_REPORT", str(tmp_path / "report"))
    store = cache.Cache(tmp_path / "kept")
    store.save("a", ARRAYS)
    (entry,) = (tmp_path / "kept").glob("*.npz")
    entry.write_bytes(entry.read_bytes()[:99])
    full_disk(monkeypatch, 0)
    assert store.load("a") is None  # a warning would be an error here
    store.save("b", ARRAYS)
    assert not store.open
    notes = [json.loads(line) for line in (tmp_path / "report").read_text().splitlines()]
    assert [note["kind"] for note in notes] == ["note"] * 2
    assert "is damaged" in notes[0]["text"]
    assert "No space left on device" in notes[1]["text"]


def test_the_folder_is_the_one_of_the_environment_or_build_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("COURSEKIT_CACHE", raising=False)
    assert cache.folder() == Path(cache.__file__).parents[2] / "build" / "cache"
    monkeypatch.setenv("COURSEKIT_CACHE", str(tmp_path))
    assert cache.folder() == cache.Cache().place == tmp_path


def test_false_keeps_nothing_and_makes_no_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSEKIT_CACHE", str(tmp_path / "none"))
    store = cache.Cache(False)
    store.save("a", ARRAYS)
    assert store.load("a") is None
    assert list(tmp_path.iterdir()) == []


def test_it_does_not_grow_beyond_its_limit(tmp_path):
    store = cache.Cache(tmp_path)
    for k in range(6):
        store.save(str(k), (np.random.default_rng(k).normal(size=5000),))
    size = output_size(tmp_path)
    store.trim(2 * size // 5)
    assert 0 < output_size(tmp_path) <= 2 * size // 5
    kept = [k for k in range(6) if store.load(str(k)) is not None]
    assert 1 <= len(kept) <= 2


@pytest.mark.parametrize("gone", ["entry.npz", "entry.77-88"])
def test_what_another_process_takes_away_meanwhile_is_no_error(tmp_path, monkeypatch, gone):
    store = cache.Cache(tmp_path)
    store.save("a", ARRAYS)
    listed = type(tmp_path).glob  # a folder's list may name what has been renamed since
    monkeypatch.setattr(
        type(tmp_path), "glob", lambda self, pattern: [*listed(self, pattern), self / gone]
    )
    store.trim(0)
    assert list(tmp_path.iterdir()) == []


def output_size(place):
    return sum(path.stat().st_size for path in place.glob("*.npz"))


def test_two_writers_of_one_entry_do_not_disturb_each_other(tmp_path):
    stores = [cache.Cache(tmp_path) for _ in range(2)]
    threads = [
        threading.Thread(target=lambda s=s: [s.save("a", ARRAYS) for _ in range(20)])
        for s in stores
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(store.open for store in stores)
    assert same(stores[0].load("a"), ARRAYS)
