"""Requests to a server that speaks OpenAI's API: concurrent, bounded, retried where it helps, kept in a journal."""

import os
import random
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx2

from llmtune.benchmark.journal import Journal, request_key
from llmtune.errors import InputError
from llmtune.progress import progress

PREFIX = "openai:"
KEY_VARIABLE = "LLMTUNE_API_KEY"  # of its own: OPENAI_API_KEY belongs to one company, and would be sent to any address
WORTH_RETRYING = (408, 409, 425, 429, 500, 502, 503, 504)
LONGEST_REST = 30.0  # seconds between two tries


class Refusal(Exception):
    """A server can't give numbers that can be believed. The message says why, and the way that works there."""


@dataclass(frozen=True)
class Address:
    """Where a model is served.

    Args:
        url: up to /v1.
        model: the name that requests carry.
    """

    url: str
    model: str

    @classmethod
    def read(cls, spec: str) -> "Address":
        """`openai:http://host:port/v1#name`.

        Raises:
            InputError: no such address, or one that holds a password, which would be written into the results.

        >>> Address.read("openai:http://127.0.0.1:8000/v1/#tiny")
        Address(url='http://127.0.0.1:8000/v1', model='tiny')
        """
        url, sign, model = spec.removeprefix(PREFIX).partition("#")
        try:
            parsed = httpx2.URL(url)
        except httpx2.InvalidURL as error:
            raise InputError(f"--models {spec}: {error}; write {PREFIX}http://host:port/v1#name") from error
        if not sign or not model or parsed.scheme not in ("http", "https") or not parsed.host:
            raise InputError(f"--models {spec}: expected {PREFIX}http://host:port/v1#name with the name of the model")
        if parsed.userinfo:
            raise InputError(f"--models: an address with a password in it; put the key into ${KEY_VARIABLE} instead")
        return cls(url.rstrip("/"), model)


@dataclass(frozen=True)
class RequestOptions:
    """How a server is asked.

    Args:
        concurrency: requests at a time.
        timeout: seconds of one request.
        tries: of one request.
        first_rest: seconds before the second try, twice as long before each further one.
    """

    concurrency: int = 4
    timeout: float = 120.0
    tries: int = 6
    first_rest: float = 0.5


class Client:
    """Asks one server.

    Args:
        address: of it.
        options: how often and how many at a time.
        journal: of answers; None where nothing is kept.

    Attributes:
        retries: tries after the first one, by what went wrong.
        tokens: that the server counted in the answers of `ask_all`, those of the journal too.
    """

    def __init__(self, address: Address, options: RequestOptions, journal: Journal | None = None) -> None:
        key = os.environ.get(KEY_VARIABLE)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        limits = httpx2.Limits(max_connections=options.concurrency)
        self.address, self.options, self.journal = address, options, journal
        self.retries: dict[str, int] = {}
        self.tokens = {"prompt_tokens": 0, "completion_tokens": 0}
        self._lock = threading.Lock()
        self.http = httpx2.Client(headers=headers, timeout=options.timeout, limits=limits, trust_env=False)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self.http.close()
        if self.journal is not None:
            self.journal.close()

    def models(self) -> list[str]:
        """The names that the server says it serves; empty where it says none, or has trouble with the question."""
        try:
            answer = self._answered("GET", "/models", None, tries=1)
        except Refusal:  # whether the server is there is seen by the next request
            return []
        data = answer.get("data")
        return [str(each.get("id")) for each in data if isinstance(each, Mapping)] if isinstance(data, list) else []

    def ask(self, path: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one request, whatever the journal holds."""
        return self._answered("POST", path, {"model": self.address.model, **payload})

    def ask_all(
        self, path: str, payloads: Sequence[Mapping[str, Any]], *, journaled: bool = True
    ) -> list[dict[str, Any]]:
        """The answers to requests, in their order: those in the journal are not asked again; equal ones once.

        Raises:
            Refusal: a request failed after all tries, or can't be retried.
        """

        def entry(payload: Mapping[str, Any]) -> dict[str, Any]:
            whole = {"model": self.address.model, **payload}
            key = request_key(path, whole)
            known = self.journal.get(key) if journaled and self.journal is not None else None
            if known is None:
                start = time.perf_counter()
                answer = self._answered("POST", path, whole)
                seconds = time.perf_counter() - start
                known = {"answer": answer, "seconds": seconds}
                if journaled and self.journal is not None:
                    known = self.journal.add(key, answer, seconds)
            return known

        different = {request_key(path, payload): payload for payload in payloads}
        with ThreadPoolExecutor(self.options.concurrency) as pool:
            try:
                entries = list(
                    progress(
                        pool.map(entry, different.values()), "asking the server", unit="requests", total=len(different)
                    )
                )
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        for answered in entries if journaled else []:
            usage = answered["answer"].get("usage")
            for name in self.tokens:
                self.tokens[name] += int((usage or {}).get(name) or 0)
        by_key = dict(zip(different, entries, strict=True))
        return [by_key[request_key(path, payload)]["answer"] for payload in payloads]

    def _answered(
        self, method: str, path: str, payload: Mapping[str, Any] | None, *, tries: int | None = None
    ) -> dict[str, Any]:
        trouble = ""
        tries = tries or self.options.tries
        for attempt in range(tries):
            if attempt:
                with self._lock:
                    self.retries[trouble] = self.retries.get(trouble, 0) + 1
            rest: float | None = None
            try:
                response = self.http.request(method, f"{self.address.url}{path}", json=payload)
            except httpx2.TransportError as error:
                trouble = f"{type(error).__name__}: {error}".rstrip(": ")
            else:
                if response.status_code == 200:
                    return self._content(response, path)
                trouble = f"status {response.status_code}"
                if response.status_code not in WORTH_RETRYING:
                    raise Refusal(
                        f"{path} answered {trouble}: {_shown(response)}; mend the request or the server, then run "
                        "the same command again"
                    )
                rest = _wished_rest(response)
            if attempt + 1 < tries:
                usual = self.options.first_rest * 2**attempt * random.uniform(0.75, 1.25)  # else all come back at once
                time.sleep(min(LONGEST_REST, usual if rest is None else rest))
        raise Refusal(
            f"{path} failed {tries} times, the last time with {trouble}; what was answered is kept: run "
            "the same command again once the server answers"
        )

    def _content(self, response: httpx2.Response, path: str) -> dict[str, Any]:
        try:
            content = response.json()
        except ValueError as error:
            raise Refusal(f"{path} answered no JSON ({_shown(response)}); is this the address of an API?") from error
        if not isinstance(content, dict):
            raise Refusal(f"{path} answered a JSON {type(content).__name__}, expected an object; is this its API?")
        return content


def _wished_rest(response: httpx2.Response) -> float | None:
    """Seconds that the server asks to wait for; None where it says none."""
    try:
        return max(0.0, float(response.headers.get("Retry-After", "")))
    except ValueError:
        return None


def _shown(response: httpx2.Response) -> str:
    """The beginning of what a server said."""
    return " ".join(response.text.split())[:200] or "nothing"
