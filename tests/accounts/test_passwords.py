"""Passwords: which are refused, and that hashing never takes all of the machine."""

from __future__ import annotations

import threading

import argon2
import pytest

from grange import errors
from grange.accounts import passwords
from grange.accounts.passwords import Passwords, refuse_weak
from tests.accounts.sites import cheap


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "seven quiet herons",
        "Tr0ub4dor&3xyz",
        "äöü ßéñ 漢字かな交じり文",
        "x7$Kq!mZ2p",
        "          a b c d e f",
        "k" * 5 + "".join(chr(number) for number in range(33, 127)) * 10,
    ],
)
def test_a_good_password_is_taken(password: str) -> None:
    """Long ones, phrases, and any letters at all."""
    refuse_weak(password, email="ada@example.org", name="Ada Lovelace")


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "too short"),
        ("x7$Kq!mZ2", "too short"),
        ("x" * 1025, "too long"),
        ("ada@example.org", "own name"),
        ("ADA@example.org1", "own name"),
        ("AdaLovelace", "own name"),
        ("ada lovelace99!", "own name"),
        ("password123", "guessed first"),
        ("P@ssw0rd2024!", "guessed first"),
        ("iloveyou!!!!", "guessed first"),
        ("Letmein12345", "guessed first"),
        ("dragonmonkey", "guessed first"),
        ("Welcome2Grange", "guessed first"),
        ("passwordpassword", "guessed first"),
        ("1234567890", "guessed first"),
        ("0987654321", "guessed first"),
        ("qwertyuiop", "guessed first"),
        ("1qaz2wsx3edc", "guessed first"),
        ("abcdefghijkl", "guessed first"),
        ("aaaaaaaaaaaaaaaa", "guessed first"),
        ("abababababab", "guessed first"),
        ("qwerty123qwerty123", "guessed first"),
    ],
)
def test_a_weak_password_is_refused(password: str, why: str) -> None:
    """With the reason, and without quoting it."""
    with pytest.raises(errors.PasswordRefused, match=why) as caught:
        refuse_weak(password, email="ada@example.org", name="Ada Lovelace")

    assert not password or password not in str(caught.value)
    assert caught.value.hint


def test_a_password_matches_itself_alone() -> None:
    """However its letters are composed; nothing else, and nobody's."""
    hashes = cheap()
    kept = hashes.hash("crème brûlée")

    assert hashes.matches(kept, "cre\u0300me bru\u0302le\u0301e")
    for other in ("creme brulee", "", "crème brûlée ", "x" * 2000, "\ud800"):
        assert not hashes.matches(kept, other)
    assert not hashes.matches(None, "nobody's password")
    assert not hashes.matches("no hash at all", "x")


def test_production_hashes_are_as_costly_as_they_should_be() -> None:
    """Argon2id with 64 MiB and three passes, unless somebody asks for something else."""
    kept = Passwords().hash("seven quiet herons")

    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert Passwords().is_outdated(cheap().hash("seven quiet herons"))
    assert not Passwords().is_outdated(kept)


def test_two_hash_at_once_and_the_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty logins at a time take the memory of two."""
    running, most, lock = 0, 0, threading.Lock()
    real = argon2.PasswordHasher.hash

    def watched(self: argon2.PasswordHasher, password: bytes) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            return real(self, password)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(argon2.PasswordHasher, "hash", watched)
    hashes = Passwords(argon2.PasswordHasher(time_cost=2, memory_cost=4096, parallelism=1))
    threads = [threading.Thread(target=hashes.hash, args=["x"]) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 2 == most


def test_too_many_who_wait_are_sent_away() -> None:
    """A flood of logins leaves threads for everything else."""
    hashes, entered, leave = cheap(), threading.Semaphore(0), threading.Event()

    def wait() -> None:
        with hashes.turn():
            entered.release()
            leave.wait(60)

    threads = [threading.Thread(target=wait) for _ in range(passwords.AT_ONCE)]
    threads += [
        threading.Thread(target=hashes.hash, args=["x"]) for _ in range(passwords.MOST_WAITING)
    ]
    for thread in threads:
        thread.start()
    for _ in range(passwords.AT_ONCE):
        assert entered.acquire(timeout=60)
    while passwords._places.acquire(blocking=False):
        passwords._places.release()

    with pytest.raises(errors.TooMany) as caught:
        hashes.hash("x")
    leave.set()
    for thread in threads:
        thread.join()

    assert caught.value.retry_seconds > 0
    assert hashes.hash("x")
