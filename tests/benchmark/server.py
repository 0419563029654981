"""A stand-in for a server of OpenAI's completions API on the loopback interface, with a real tiny model behind it.

`fault` is one thing that real servers do wrong, or otherwise than a client assumes.
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch
import transformers

GENERATED_ONLY, ECHO_IGNORED, FIRST_NULL = "generated_only", "echo_ignored", "first_null"
DOUBLE_BEGIN, TEMPLATE, TRUNCATED, PERMUTED = "double_begin", "template", "truncated", "permuted"


class Server:
    """Serves a folder until closed.

    `requests` are the bodies of what was asked, `answered` those that were answered in full. `statuses`: what the next
    requests are answered with, "drop" for a closed connection, a number of seconds for a late answer.
    """

    def __init__(self, folder: Any, *, fault: str = "", statuses: list[Any] | None = None, window: int = 24) -> None:
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
        self.fault, self.statuses, self.window = fault, list(statuses or []), window
        self.requests: list[dict[str, Any]] = []
        self.answered: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.at_once, self.most_at_once, self.rest = 0, 0, 0.0
        self.usage, self.streams = True, True
        self.before_first, self.between = 0.0, 0.0  # seconds of a streamed answer
        self.lock = threading.Lock()
        server = self

        class Handler(_Handler):
            serves = server

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *where: None  # a client that was killed hangs up
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        self.spec = f"openai:{self.url}#tiny"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *error: object) -> None:
        self.http.shutdown()
        self.http.server_close()

    def ids(self, text: str) -> list[int]:
        """What the model reads of a prompt."""
        if self.fault == TEMPLATE:
            text = f"<|user|> {text} <|assistant|>"
        if self.fault == PERMUTED:
            text = text.replace(" spam", " *").replace(" ham", " spam").replace(" *", " ham")
        ids = self.tokenizer(text)["input_ids"]
        if self.fault == DOUBLE_BEGIN:
            ids = [self.tokenizer.bos_token_id, *ids]
        return ids[-self.window :] if self.fault == TRUNCATED else ids

    @torch.no_grad()
    def complete(self, asked: dict[str, Any]) -> dict[str, Any]:
        prompt = asked["prompt"] if "prompt" in asked else asked["messages"][-1]["content"]
        ids = self.ids(prompt)
        most = asked["max_tokens"]
        whole = list(ids)
        for _ in range(most):
            following = int(self.model(torch.tensor([whole])).logits[0, -1].argmax())
            if following == self.tokenizer.eos_token_id:
                break
            whole.append(following)
        text = self.tokenizer.decode(whole[len(ids) :], skip_special_tokens=True)
        choice: dict[str, Any] = {"index": 0, "text": text, "finish_reason": "length", "logprobs": None}
        if asked.get("echo") and self.fault != ECHO_IGNORED:
            logs = self.model(torch.tensor([whole])).logits[0].log_softmax(-1)
            of_tokens = [None, *(float(logs[i, token]) for i, token in enumerate(whole[1:]))]
            start = len(ids) if self.fault == GENERATED_ONLY else 0
            sent = self.tokenizer(prompt)["input_ids"] if self.fault == PERMUTED else ids
            letters = [self.tokenizer.decode([token]) for token in [*sent, *whole[len(ids) :]]]
            if self.fault == FIRST_NULL:  # a server that leaves its begin token out of the answer
                letters, of_tokens = letters[1:], [None, *of_tokens[2:]]
            choice["logprobs"] = {"tokens": letters[start:], "token_logprobs": of_tokens[start:]}
            choice["text"] = prompt + text if self.fault != GENERATED_ONLY else text
        answer: dict[str, Any] = {"object": "text_completion", "model": "tiny", "choices": [choice]}
        if "messages" in asked:
            choice["message"] = {"role": "assistant", "content": text}
        if self.usage:
            answer["usage"] = {"prompt_tokens": len(ids), "completion_tokens": len(whole) - len(ids)}
        return answer


class _Handler(BaseHTTPRequestHandler):
    serves: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Silence."""

    def do_GET(self) -> None:
        self._send(200, {"data": [{"id": "tiny"}]})

    def do_POST(self) -> None:
        server = self.serves
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.requests.append(asked)
            server.headers.append(dict(self.headers))
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
            trouble = server.statuses.pop(0) if server.statuses else None
        try:
            time.sleep(server.rest)
            if trouble == "drop":
                self.close_connection = True
                self.connection.close()
                return
            if isinstance(trouble, int):
                self._send(trouble, {"error": {"message": "not now"}}, {"Retry-After": "0"} if trouble == 429 else {})
                return
            if isinstance(trouble, float):
                time.sleep(trouble)
            with server.lock:
                answer = server.complete(asked)
            if asked.get("stream") and server.streams:
                self._stream(answer)
            else:
                self._send(200, answer)
            with server.lock:
                server.answered.append(asked)
        finally:
            with server.lock:
                server.at_once -= 1

    def _stream(self, answer: dict[str, Any]) -> None:
        """Two letters a chunk, each a token for the usage that ends it."""
        server, text = self.serves, answer["choices"][0]["text"][:8]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        time.sleep(server.before_first)
        for place in range(0, len(text), 2):
            time.sleep(server.between if place else 0)
            chunk = {"choices": [{"text": text[place : place + 2]}]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            self.wfile.flush()
        last = {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": len(text)}}
        self.wfile.write(f"data: {json.dumps(last)}\n\ndata: [DONE]\n\n".encode())
        self.close_connection = True

    def _send(self, status: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        try:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
