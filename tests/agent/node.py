# SPDX-License-Identifier: Apache-2.0
"""A controller (billetd) and an agent in QEMU (agent-test.elf), for tests that put them together."""
import http.client
import json
import os
import re
import shutil
import ssl
import subprocess
import threading
import time

AGENT = "build/agent/agent-test.elf"
BILLETD = "build/billetd"
HOST = "10.0.2.2"  # what QEMU's user network calls this machine


class Output:
    """Lines of a process as they come; wait() finds one."""

    def __init__(self, process, echo):
        self.text, self.changed, self.ended = "", threading.Condition(), False
        self.echo, self.process = echo, process
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for raw in self.process.stdout:
            line = raw.decode(errors="replace").rstrip("\r\n")
            if self.echo:
                print(f"    {self.echo}: {line}", flush=True)
            with self.changed:
                self.text += line + "\n"
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait(self, pattern, seconds=30, start=0):
        """The match of a regular expression behind offset start, or None when it did not come in time."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while True:
                found = re.compile(pattern, re.M).search(self.text, start)
                left = deadline - time.monotonic()
                if found or self.ended or left <= 0:
                    return found
                self.changed.wait(left)


class Process:
    def __init__(self, argv, echo):
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.out = Output(self.process, echo)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Controller(Process):
    def __init__(self, folder, names=(HOST,), port=0, echo=None, options=()):
        self.folder = folder
        argv = [BILLETD, "--data", folder, "--listen", f"127.0.0.1:{port}", "--report-interval", "1000", *options]
        for name in names:
            argv += ["--name", name]
        super().__init__(argv, echo)
        found = self.out.wait(r"listens at .* port (\d+)")
        if not found:
            raise RuntimeError("billetd did not start:\n" + self.out.text)
        self.port = int(found[1])
        self.ca = open(os.path.join(folder, "ca.crt")).read()
        self.token = open(os.path.join(folder, "admin.token")).read().strip()

    def ask(self, method, path, body=None, headers=None, raw=False):
        """(status, answer): JSON is decoded unless raw."""
        context = ssl.create_default_context(cadata=self.ca)
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=70)
        headers = {"Authorization": "Bearer " + self.token, **(headers or {})}
        if isinstance(body, (dict, list)):
            body, headers["Content-Type"] = json.dumps(body), "application/json"
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, data if raw or not data else json.loads(data)

    def join_token(self, **fields):
        status, token = self.ask("POST", "/v1/join-tokens", {"name": f"t{time.monotonic_ns()}", "auto_approve": True, **fields})
        assert status == 201, token
        return token["secret"]

    def upload(self, name, kind, data, sha256):
        status, image = self.ask("POST", "/v1/images", {"name": name, "kind": kind, "size": str(len(data)), "sha256": sha256})
        assert status == 201, image
        at = 0
        while at < len(data) and image["state"] != "ready":
            piece = data[at:at + (1 << 20)]
            status, answer = self.ask("PATCH", f"/v1/images/{image['id']}/data", piece,
                                      {"Upload-Offset": str(at), "Content-Type": "application/octet-stream"}, raw=True)
            if status != 204:
                return status
            at += len(piece)
        return status

    def until(self, path, good, seconds=30):
        """Asks until good(answer) is true; the last answer, or None."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status, answer = self.ask("GET", path)
            if status == 200 and good(answer):
                return answer
            time.sleep(0.2)
        return None


def configuration(ca, port, token, host=HOST, extra=""):
    return f"# made by a test\ncontroller = https://{host}:{port}\njoin_token = {token}\nhostname = host1\n{extra}{ca}"


class Node(Process):
    """The agent in QEMU. With 80 MiB or more its fake node survives a reset of the agent (fake_control.c)."""

    def __init__(self, folder, conf, echo=None, ram_mib=96):
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "node.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(conf)
        super().__init__(["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", str(ram_mib),
                          "-kernel", AGENT, "-initrd", path, "-display", "none", "-serial", "stdio", "-monitor", "none",
                          "-netdev", "user,id=n", "-device", "virtio-net-pci,disable-legacy=on,romfile=,netdev=n"], echo)

    def is_alive(self):
        return self.process.poll() is None


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder
