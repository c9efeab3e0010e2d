#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""billetctl against a real billetd, with nodes played by this program.

    tests/system/test_cli.py [WORD]         only tests whose name has WORD in it

Prints "ok - name" and "not ok - name" for each test; every test has a controller of its own.
"""
import argparse
import hashlib
import json
import os
import pty
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

sys.dont_write_bytecode = True
REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))
import controllersite  # noqa: E402
from controllersite import Controller, Node, check, equal, ready_node  # noqa: E402

BILLETCTL = REPO / "build/billetctl"
OK, REFUSED, USAGE, UNREACHABLE, NOT_FOUND, TIMEOUT, DENIED = range(7)
TESTS = []


def test(fn):
    TESTS.append(fn)
    return fn


class Cli:
    """billetctl with a controller's settings in its environment, and a home of its own."""

    def __init__(self, controller):
        self.c = controller
        self.home = tempfile.mkdtemp(dir=controller.data)
        self.environment = {"PATH": os.environ["PATH"], "HOME": self.home, "LANG": "C.UTF-8",
                            "BILLET_SERVER": f"https://127.0.0.1:{controller.port}",
                            "BILLET_CA": controller.path("ca.crt"), "BILLET_TOKEN": controller.token}

    def env(self, **changes):
        merged = {**self.environment, **changes}
        return {key: value for key, value in merged.items() if value is not None}

    def run(self, *args, status=OK, input=None, **changes):
        done = subprocess.run([BILLETCTL, *map(str, args)], env=self.env(**changes), input=input,
                              stdin=subprocess.DEVNULL if input is None else None,
                              capture_output=True, text=True, timeout=60)
        said = f"billetctl {' '.join(map(str, args))}: {done.stdout[-500:]!r} {done.stderr[-500:]!r}"
        equal(done.returncode, status, said)
        if status != OK:
            check(re.search(r"(^|\n)billetctl: [^\n]+\n\Z", done.stderr), f"no clear line at the end: {said}")
        return done

    def out(self, *args, **options):
        return self.run(*args, **options).stdout

    def err(self, *args, status, **options):
        return self.run(*args, status=status, **options).stderr

    def json(self, *args):
        return json.loads(self.out(*args, "--json"))

    def file(self, name, content):
        path = Path(self.home) / name
        path.write_bytes(content)
        return path

    def kernel(self, name="k"):
        self.run("image", "upload", name, self.file(name, b"kernel " + name.encode()), "--kind", "kernel")


# ---- the program itself ---------------------------------------------------------------------------

@test
def says_how_it_is_used_at_every_level(cli):
    whole = cli.out("--help")
    rows = re.findall(r"^  ([a-z][a-z-]*)(?: ([a-z]+))?(?: [A-Z. ]+)? {2,}\S", whole, re.MULTILINE)
    check(len(rows) > 25, f"{len(rows)} commands in --help")
    for group, verb in rows:
        words = [word for word in (group, verb) if word and word != "bash"]
        text = cli.out(*words, "--help")
        check(text.startswith("Usage: billetctl " + " ".join(words)), text[:100])
        check("--json" in text, f"{words}: no options of every command")
    check("node approve" in cli.out("node", "--help"), "a group's help")


@test
def refuses_wrong_usage_with_status_2(cli):
    for args, says in (((), "a command is wanted"), (("nod",), "'nod' is not a command"), (("node",), "wants one of"),
                       (("node", "fly"), "'node fly'"), (("node", "ls", "--bogus"), "unknown option --bogus"),
                       (("vm", "create", "x"), "--kernel"), (("vm", "show"), "wants VM"), (("vm", "show", "a", "b"), "'b'"),
                       (("vm", "create", "x", "--kernel", "k", "--memory", "lots"), "--memory lots"),
                       (("vm", "wait", "x", "--state", "asleep"), "--state asleep"),
                       (("vm", "console", "x", "--until", "("), "--until ("),
                       (("vm", "console", "x", "--send", "\\q"), "--send"),
                       (("completion", "tcsh"), "'tcsh'"), (("token", "create", "x"), "--role"),
                       (("events", "--limit", "0"), "--limit 0"), (("--server", "http://x", "vm", "ls"), "https://")):
        check(says in cli.err(*args, status=USAGE), f"{args} does not say {says!r}")


@test
def finds_its_settings_in_options_then_environment_then_file(cli):
    folder = Path(cli.home) / ".config/billet"
    folder.mkdir(parents=True)
    (folder / "config").write_text(f"# ours\nserver = {cli.environment['BILLET_SERVER']}\n"
                                   f"ca = {cli.environment['BILLET_CA']}\ntoken = {cli.c.token}\n")
    none = {"BILLET_SERVER": None, "BILLET_CA": None, "BILLET_TOKEN": None}
    cli.run("node", "ls", **none)
    cli.run("node", "ls", status=UNREACHABLE, **{**none, "BILLET_SERVER": "https://127.0.0.1:1"})
    cli.run("--server", cli.environment["BILLET_SERVER"], "node", "ls", **{**none, "BILLET_SERVER": "https://127.0.0.1:1"})
    cli.run("node", "ls", status=DENIED, **{**none, "BILLET_TOKEN": "bat_wrong"})
    cli.run("node", "ls", "--token-file", cli.c.path("admin.token"), **{**none, "BILLET_TOKEN": "bat_wrong"})
    cli.run("node", "ls", "--token-file", "/nonexistent", status=USAGE)
    (folder / "config").write_text("servre = x\n")
    check("line 1" in cli.err("node", "ls", status=USAGE), "a bad configuration file")


@test
def trusts_its_ca_and_nothing_else(cli):
    other = Controller()
    try:
        check("not to be trusted" in cli.err("node", "ls", status=UNREACHABLE, BILLET_CA=other.path("ca.crt")), "wrong CA")
    finally:
        other.stop()
    check("not to be trusted" in cli.err("node", "ls", status=UNREACHABLE, BILLET_CA=None), "no CA")
    check("cannot be read" in cli.err("node", "ls", status=USAGE, BILLET_CA="/nonexistent"), "no such CA file")
    # The same address under a name that is not in the certificate.
    named = f"https://127.0.0.2:{cli.c.port}"
    listener = socket.create_server(("127.0.0.2", 0))
    named = f"https://127.0.0.2:{listener.getsockname()[1]}"

    def forward():
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", cli.c.port))
        while True:
            for source in select.select([client, server], [], [])[0]:
                data = source.recv(65536)
                if not data:
                    client.close()
                    server.close()
                    return
                (server if source is client else client).sendall(data)

    threading.Thread(target=forward, daemon=True).start()
    check("not to be trusted" in cli.err("node", "ls", status=UNREACHABLE, BILLET_SERVER=named), "wrong name")
    listener.close()


@test
def says_when_there_is_no_controller(cli):
    says = cli.err("vm", "ls", status=UNREACHABLE, BILLET_SERVER="https://127.0.0.1:1")
    check("Is billetd running there?" in says, says)


@test
def logs_in_once_and_for_all(cli):
    none = {"BILLET_SERVER": None, "BILLET_CA": None, "BILLET_TOKEN": None}
    where = ("--server", cli.environment["BILLET_SERVER"], "--ca", cli.environment["BILLET_CA"])
    cli.run("login", *where, input="bat_wrong\n", status=DENIED, **none)
    check(not (Path(cli.home) / ".config/billet/config").exists(), "a wrong token was kept")
    cli.run("login", *where, input=cli.c.token + "\n", **none)
    config = Path(cli.home) / ".config/billet/config"
    equal(config.stat().st_mode & 0o777, 0o600, "mode of the configuration")
    shutil.move(cli.c.path("ca.crt"), cli.c.path("ca.moved"))  # the CA was copied
    cli.run("node", "ls", **none)


@test
def shows_versions(cli):
    equal(cli.out("--version").split()[0], "billetctl", "--version")
    check("billetd " in cli.out("version"), "version")
    equal(cli.json("version")["controller"]["api"], ["v1"], "version --json")


@test
def completes_in_bash(cli):
    script = cli.file("completion", cli.out("completion", "bash").encode())
    subprocess.run(["bash", "-n", script], check=True)
    cli.kernel("linux")

    def complete(*words):
        program = (f"source {script}; billetctl() {{ {BILLETCTL} \"$@\"; }}; "
                   f"COMP_WORDS=(billetctl {' '.join(repr(w) for w in words)}); COMP_CWORD={len(words)}; "
                   "_billetctl; printf '%s\\n' \"${COMPREPLY[@]}\"")
        return subprocess.run(["bash", "-c", program], env=cli.env(), capture_output=True, text=True,
                              check=True).stdout.split()

    check({"node", "vm", "usage"} <= set(complete("")), "groups")
    equal(complete("vm", "cr"), ["create"], "verbs")
    equal(complete("vm", "create", "x", "--ker"), ["--kernel"], "options")
    equal(complete("vm", "create", "x", "--kernel", ""), ["linux"], "names of images")
    equal(complete("image", "rm", "li"), ["linux"], "operands")
    equal(complete("--server", "https://x", "usage", "--v"), ["--vm"], "behind a global option")
    equal(complete("completion", ""), ["bash"], "words")


# ---- nodes and tokens -----------------------------------------------------------------------------

@test
def lets_a_node_in(cli):
    made = cli.run("join-token", "create", "rack1", "--uses", "2", "--expires", "1h")
    secret = made.stdout.strip()
    check(re.fullmatch(r"bjt_[0-9a-f]{64}", secret), f"only the secret on standard output: {made.stdout!r}")
    check("rack1" in made.stderr, "what was made, on standard error")
    node = Node(cli.c, secret)
    equal(node.enroll().status, 202, "pending")
    row = cli.json("node", "ls")[0]
    equal((row["state"], row["fingerprint"]), ("pending", node.fingerprint), "a pending node")
    cli.run("node", "approve", row["id"], "--fingerprint", "0" * 64, status=REFUSED)
    check("host7" in cli.out("node", "approve", row["id"], "--fingerprint", node.fingerprint, "--name", "host7"), "approved")
    equal(node.enroll().status, 201, "certificate")
    node.report()
    table = cli.out("node", "ls")
    for word in ("NAME", "host7", "ready", "1 GiB", "net0", "vmx", "0.1.0", "ibpb"):
        check(word in table, f"{word} is not in\n{table}")
    equal(cli.out("node", "ls", "--quiet"), "host7\n", "--quiet")
    shown = cli.out("node", "show", "host7")
    check(re.search(r"^NIC +DRIVER.*\nnet0 +e1000 +- +52:54:00:ab:cd:ef +yes +1000 ", shown, re.MULTILINE), shown)
    cli.run("node", "approve", "host7", status=REFUSED)
    cli.run("node", "show", "host8", status=NOT_FOUND)
    cli.run("node", "rm", "host7")
    equal(cli.json("node", "ls"), [], "removed")
    equal(len(cli.json("node", "ls", "--all")), 1, "--all")


@test
def handles_join_tokens(cli):
    made = cli.json("join-token", "create", "rack1", "--auto-approve")
    check(made["ca"].startswith("-----BEGIN CERTIFICATE-----") and made["auto_approve"], "--json has the CA")
    cli.run("join-token", "create", "rack1", status=REFUSED)
    cli.run("join-token", "create", "rack2", "--expires", "soon", status=USAGE)
    check("rack1" in cli.out("join-token", "ls"), "ls")
    cli.run("join-token", "rm", "rack1")
    equal(cli.json("join-token", "ls")[0]["state"], "revoked", "revoked")
    cli.run("join-token", "rm", "nope", status=NOT_FOUND)


@test
def handles_api_tokens_and_their_roles(cli):
    secret = cli.out("token", "create", "eve", "--role", "viewer").strip()
    cli.run("node", "ls", BILLET_TOKEN=secret)
    cli.run("join-token", "create", "x", status=DENIED, BILLET_TOKEN=secret)
    equal({token["name"] for token in cli.json("token", "ls")}, {"admin", "eve"}, "ls")
    cli.run("token", "rm", "eve")
    check("login" in cli.err("node", "ls", status=DENIED, BILLET_TOKEN=secret), "what to do without a token")
    cli.run("node", "ls", status=DENIED, BILLET_TOKEN=None)
    cli.run("token", "rm", "admin", status=REFUSED)


# ---- images ---------------------------------------------------------------------------------------

@test
def uploads_an_image_and_says_how_far_it_is(cli):
    content = os.urandom(3 << 20)
    path = cli.file("bytes", content)
    done = cli.run("image", "upload", "i1", path)
    check(re.search(r"uploading i1: 3 MiB of 3 MiB, 100%, .*/s$", done.stderr, re.MULTILINE), done.stderr)
    check("\r" not in done.stderr, "plain lines when piped")
    image = cli.json("image", "show", "i1")
    equal((image["state"], image["kind"], image["sha256"]),
          ("ready", "initrd", hashlib.sha256(content).hexdigest()), "the image")
    equal(cli.run("image", "upload", "i1", path).stderr, "", "the same again")
    check("other bytes" in cli.err("image", "upload", "i1", cli.file("b", b"x"), status=REFUSED), "another under its name")
    check("3 MiB" in cli.out("image", "ls"), "ls")
    cli.run("image", "rm", "i1")
    cli.run("image", "rm", "i1", status=NOT_FOUND)
    cli.run("image", "upload", "i2", "/nonexistent", status=REFUSED)
    cli.run("image", "upload", "i2", cli.file("empty", b""), status=REFUSED)


@test
def sees_a_kernel_when_it_is_one(cli):
    content = bytearray(4096)
    content[0x202:0x206] = b"HdrS"
    cli.run("image", "upload", "linux", cli.file("linux", bytes(content)))
    equal(cli.json("image", "show", "linux")["kind"], "kernel", "kind")


@test
def goes_on_with_an_upload_that_was_cut_off(cli):
    content = os.urandom(5 << 20)
    path = cli.file("bytes", content)
    created = {"name": "i1", "kind": "initrd", "size": str(len(content)), "sha256": hashlib.sha256(content).hexdigest()}
    cli.c.ok("POST", "/v1/images", created, 201)
    cli.c.ok("PATCH", "/v1/images/i1/data", content[:2 << 20], 204, {"Upload-Offset": "0"})
    before = cli.c.ok("GET", "/v1/images/i1")["uploaded"]
    equal(before, str(2 << 20), "there already")
    cli.run("image", "upload", "i1", path)
    equal(cli.json("image", "show", "i1")["state"], "ready", "whole")


@test
def outlasts_a_restart_of_the_controller(cli):
    content = os.urandom(96 << 20)
    path = cli.file("bytes", content)
    upload = subprocess.Popen([BILLETCTL, "image", "upload", "i1", path], env=cli.env(), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        reply = cli.c.call("GET", "/v1/images/i1")
        if reply.status == 200 and int(reply.json["uploaded"]) > 4 << 20:
            break
    was_whole = reply.json["state"] == "ready"
    cli.c.kill()
    time.sleep(0.3)
    cli.c.start()
    text = upload.communicate(timeout=120)[0]
    equal(upload.returncode, OK, text[-500:])
    check(not was_whole, "it was over before the controller was killed")
    equal(cli.json("image", "show", "i1")["state"], "ready", "whole")


@test
def says_that_an_image_arrived_damaged(cli):
    content = b"right"
    created = {"name": "i1", "kind": "initrd", "size": "5", "sha256": hashlib.sha256(content).hexdigest()}
    cli.c.ok("POST", "/v1/images", created, 201)
    equal(cli.c.call("PATCH", "/v1/images/i1/data", b"wrong", {"Upload-Offset": "0"}).status, 422, "refused")
    check("image rm i1" in cli.err("image", "upload", "i1", cli.file("b", content), status=REFUSED), "what to do")


# ---- VMs ------------------------------------------------------------------------------------------

def say_state(cli, node, state, reason=""):
    vm = cli.json("vm", "ls")[0]
    node.report(vms=[{"id": vm["id"], "state": state, "reason": reason, "restart": vm["restart"]}])


@test
def signs_releases_and_orders_updates(cli):
    key = Path(cli.home) / "release.key"
    public = cli.out("release", "keygen", key).strip()
    check(re.fullmatch(r"04[0-9a-f]{128}", public), public)
    equal(key.stat().st_mode & 0o777, 0o600, "nobody else reads it")
    cli.run("release", "keygen", key, status=REFUSED)
    equal(cli.out("release", "pubkey", key).strip(), public)
    openssl = lambda *args: subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True).stdout
    openssl("pkey", "-in", key, "-pubout", "-out", f"{key}.pub")
    equal(cli.out("release", "pubkey", f"{key}.pub").strip(), public, "of the public half alone")

    elf = REPO / "build/billet.elf"
    cli.run("release", "upload", cli.file("x", b"no elf"), "--key", key, status=REFUSED)
    cli.run("release", "upload", elf, "--key", cli.file("y", b"no key"), status=REFUSED)
    cli.run("release", "upload", elf, "--key", key, "--name", "r1")
    shown = cli.json("release", "show", "r1")
    content = elf.read_bytes()
    check(shown["version"].encode() + b"\0" in content, f"the version is the image's: {shown['version']}")
    manifest = (b"billet-release-1" + shown["version"].encode().ljust(64, b"\0") +
                hashlib.sha256(content).digest() + len(content).to_bytes(8, "little"))
    r, s = (int(shown["signature"][i:i + 64], 16) for i in (0, 64))
    number = lambda n: b"\x02" + bytes([n.bit_length() // 8 + 1]) + n.to_bytes(n.bit_length() // 8 + 1, "big")
    der = b"\x30" + bytes([len(number(r) + number(s))]) + number(r) + number(s)
    openssl("dgst", "-sha256", "-verify", f"{key}.pub", "-signature", cli.file("sig", der), cli.file("m", manifest))
    check("r1" in cli.out("release", "ls"), "ls")

    node = ready_node(cli.c, hostname="host1")
    cli.run("node", "update", "host1", status=USAGE)
    cli.run("node", "update", "host1", "--release", "r9", status=NOT_FOUND)
    check("host1" in cli.out("node", "update", "host1", "--release", "r1"), "ordered")
    equal(cli.json("node", "show", "host1")["release"], "r1")
    cli.run("node", "update", "host1", "--release", "r1", "--wait", "--timeout", "1s", status=TIMEOUT)
    cli.run("node", "update", "host1", "--cancel")
    equal(cli.json("node", "show", "host1")["release"], None)

    def say(state, error=""):
        attempt = node.call("GET", "/desired").json["update"]["attempt"]
        info = {**node.info(), "update": {"state": state, "slot": "b", "version": "x", "attempt": attempt, "error": error}}
        equal(node.report(node=info).status, 200)
    cli.run("node", "update", "host1", "--release", "r1")
    thread = threading.Timer(0.5, lambda: (say("installing"), time.sleep(0.6), say("done")))
    thread.start()
    done = cli.run("node", "update", "host1", "--release", "r1", "--wait", "--timeout", "20s")
    thread.join()
    check("installing" in done.stderr and "runs release 'r1'" in done.stdout, f"{done.stderr} {done.stdout}")
    cli.run("node", "update", "host1", "--release", "r1")
    say("failed", "the signature is not the operator's")
    check("update" in cli.out("node", "show", "host1"), "shown")
    cli.run("release", "rm", "r1")


@test
def makes_a_boot_disk_for_one_node(cli):
    base, out = REPO / "build/billet.img", Path(cli.home) / "n7.img"
    key = Path(cli.home) / "release.key"
    public = cli.out("release", "keygen", key).strip()
    cli.run("node", "install-media", "n7", "--output", out, "--gateway", "192.0.2.1", status=USAGE)
    cli.run("node", "install-media", "n7", "--output", out, "--address", "192.0.2.7", status=USAGE)
    cli.run("node", "install-media", "n7", "--output", out, "--from", cli.file("x", b"no image"), status=REFUSED)
    check(not out.exists(), "nothing is left of a disk that was not made")
    done = cli.run("node", "install-media", "n7", "--output", out, "--address", "192.0.2.7/24", "--gateway", "192.0.2.1",
                   "--dns", "192.0.2.1,192.0.2.2", "--update-key", key, "--cmdline", "mtu=9000",
                   "--controller", "https://controller.example.org:8443")
    check("n7" in done.stdout and "secret" in done.stdout, done.stdout)
    equal(out.stat().st_mode & 0o777, 0o600, "it holds a secret")
    equal(cli.json("join-token", "ls")[0]["name"], "n7", "a token of its own")
    plain, disk = base.read_bytes(), out.read_bytes()
    equal(len(disk), len(plain), "its size")
    config = slice(36 << 20, 37 << 20)  # storage/boot_disk.h
    equal(disk[:36 << 20] + disk[37 << 20:], plain[:36 << 20] + plain[37 << 20:], "all but the config partition")
    env = disk[config][512:1536]
    check(f"update_key={public} mtu=9000\n".encode() in env, env)
    check(re.search(rb"^id=[0-9a-f]{32}$", env, re.MULTILINE), env)
    conf = disk[config][65536:131072].rstrip(b"\0").decode()
    for line in ("controller = https://controller.example.org:8443", "hostname   = n7", "address    = 192.0.2.7/24",
                 "gateway    = 192.0.2.1", "dns        = 192.0.2.1,192.0.2.2"):
        check(line in conf.splitlines(), f"{line!r} is not in\n{conf}")
    check(re.search(r"^join_token = bjt_[0-9a-f]{64}$", conf, re.MULTILINE), conf)
    check(Path(cli.c.path("ca.crt")).read_text().strip() in conf, "the controller's CA")

    cli.run("node", "install-media", "n8", "--output", out, status=REFUSED)
    equal(out.read_bytes(), disk, "the file that was there")
    secret = cli.out("join-token", "create", "rack").strip()
    again = cli.run("node", "install-media", "n8", "--output", out, "--join-token", secret, "--force")
    check("takes no updates" in again.stderr, again.stderr)
    check(secret in out.read_bytes()[config].decode("latin-1"), "the token that was given")
    equal(len(cli.json("join-token", "ls")), 2, "no other token is made")


@test
def makes_a_vm_and_works_with_it(cli):
    node = ready_node(cli.c, tsc_khz=2500000)
    cli.kernel()
    cli.run("vm", "create", "web1", "--kernel", "nope", status=NOT_FOUND)
    cli.run("vm", "create", "web1", "--kernel", "k", "--vcpus", "2", "--memory", "128M", "--cmdline", "quiet a=b",
            "--weight", "200", "--cap", "50", "--tsc-khz", "2500000", "--node", "host1")
    vm = cli.json("vm", "show", "web1")
    equal((vm["vcpus"], vm["memory_mib"], vm["cmdline"], vm["weight"], vm["cap_percent"], vm["tsc_khz"],
           vm["node_name"]), (2, 128, "quiet a=b", 200, 50, 2500000, "host1"), "as asked for")
    check(re.search(r"^TSC, kHz +2500000$", cli.out("vm", "show", "web1"), re.MULTILINE), cli.out("vm", "show", "web1"))
    cli.run("vm", "create", "web2", "--kernel", "k", "--tsc-khz", "99999", status=REFUSED)
    cli.run("vm", "create", "web1", "--kernel", "k", status=REFUSED)
    cli.run("vm", "create", "web2", "--kernel", "k", "--no-start", "--memory", "64")
    equal(cli.json("vm", "show", "web2")["desired_state"], "stopped", "--no-start")
    equal(cli.json("vm", "show", "web2")["tsc_khz"], None, "without --tsc-khz")
    cli.run("vm", "rm", "web2")
    cli.run("vm", "create", "huge", "--kernel", "k", "--memory", "1T", status=REFUSED)
    for verb, desired in (("pause", "paused"), ("resume", "running"), ("stop", "stopped"), ("start", "running")):
        cli.run("vm", verb, "web1")
        equal(cli.json("vm", "show", "web1")["desired_state"], desired, verb)
    cli.run("vm", "reboot", "web1")
    check(cli.json("vm", "show", "web1")["restart"] != "0", "reboot")
    say_state(cli, node, "running")
    table = cli.out("vm", "ls")
    check(re.search(r"^web1 +running +running +host1 +2 +128 MiB +k ", table, re.MULTILINE), table)
    equal(cli.json("vm", "ls", "--node", "host1")[0]["name"], "web1", "--node")
    cli.run("vm", "stop", "web1", "web9", status=NOT_FOUND)
    cli.run("vm", "rm", "web1")
    equal(cli.json("vm", "ls"), [], "deleted")


@test
def waits_for_a_state_and_gives_up_in_time(cli):
    node = ready_node(cli.c)
    cli.kernel()
    check("after 1s" in cli.err("vm", "create", "web1", "--kernel", "k", "--wait", "--timeout", "1s", status=TIMEOUT), "timeout")
    timer = threading.Timer(1, lambda: say_state(cli, node, "running"))
    timer.start()
    cli.run("vm", "wait", "web1", "--timeout", "30s")
    timer.join()
    say_state(cli, node, "crashed", "triple fault at rip=0x0")
    check("triple fault" in cli.err("vm", "wait", "web1", "--state", "stopped", status=REFUSED), "a crash ends it")
    cli.run("vm", "wait", "web1", "--state", "crashed")
    cli.run("vm", "wait", "web9", status=NOT_FOUND)


class Guest(threading.Thread):
    """A node that serves the console of its one VM: what is typed comes back between < and >."""

    def __init__(self, cli, node):
        super().__init__(daemon=True)
        self.cli, self.node, self.vm = cli, node, cli.json("vm", "ls")[0]["id"]
        self.offset, self.is_over, self.typed = 0, False, b""

    def write(self, data):
        reply = self.node.call("POST", f"/console/{self.vm}?session={self.session}&offset={self.offset}", data,
                               {"Content-Type": "application/octet-stream"})
        equal(reply.status, 204, f"console output {reply.body!r}")
        self.offset += len(data)

    def session_of_the_desired_state(self):
        while not self.is_over:
            vms = self.node.call("GET", "/desired").json["vms"]
            if vms and vms[0]["console"]:
                return vms[0]["console"]["session"]
            time.sleep(0.05)
        return None

    def run(self):
        self.session = self.session_of_the_desired_state()
        if not self.session:
            return
        self.write(b"booted\r\nguest:~# \x1b[6n")
        taken = 0
        while not self.is_over:
            reply = self.node.call("GET", f"/console/{self.vm}/input?session={self.session}&offset={taken}&wait=1")
            if reply.status == 200 and reply.body:
                taken += len(reply.body)
                self.typed += reply.body
                self.write(b"<" + reply.body + b">\r\n")

    def end(self):
        self.is_over = True
        self.join(20)


def with_guest(cli):
    node = ready_node(cli.c)
    cli.kernel()
    cli.run("vm", "create", "web1", "--kernel", "k")
    say_state(cli, node, "running")
    guest = Guest(cli, node)
    guest.start()
    return guest


@test
def talks_to_a_console_from_a_script(cli):
    guest = with_guest(cli)
    try:
        equal(cli.run("vm", "console", "web1", "--until", "^guest:.*# $", "--timeout", "20s").stdout,
              "booted\nguest:~# \x1b[6n", "what the guest wrote")
        out = cli.out("vm", "console", "web1", "--new", "--send", "ls\\r\\x04", "--until", "^<ls", "--timeout", "20s")
        check("booted" not in out and "<ls" in out, repr(out))
        equal(guest.typed, b"ls\r\x04", "what the guest was sent")
        out = cli.out("vm", "console", "web1", "--new", "--until", "piped>", "--timeout", "20s", input="piped")
        check("<piped>" in out, repr(out))
        check("booted" in cli.out("vm", "console", "web1", "--timeout", "1s"), "without --until the end is no failure")
        began = time.monotonic()
        cli.run("vm", "console", "web1", "--until", "never", "--timeout", "2s", status=TIMEOUT)
        check(1.5 < time.monotonic() - began < 6, "in time")
    finally:
        guest.end()
    cli.run("vm", "console", "web9", status=NOT_FOUND)


@test
def talks_to_a_console_on_a_terminal(cli):
    guest = with_guest(cli)
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(BILLETCTL, [str(BILLETCTL), "vm", "console", "web1"], cli.env())
    seen = b""

    def until(wanted):
        nonlocal seen
        deadline = time.monotonic() + 20
        while wanted not in seen:
            check(time.monotonic() < deadline, f"no {wanted!r} in {seen!r}")
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    seen += os.read(terminal, 4096)
                except OSError:
                    break
        check(wanted in seen, f"no {wanted!r} in {seen!r}")

    try:
        until(b"Ctrl-] leaves it")
        until(b"guest:~# ")
        os.write(terminal, b"\x03")  # not for us but for the guest
        until(b"<\x03>")
        os.write(terminal, b"\x1d")
        until(b"the VM runs on")
        equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0, "exit status")
    finally:
        os.close(terminal)
        guest.end()


@test
def shows_usage_and_events(cli):
    node = ready_node(cli.c)
    cli.kernel()
    cli.run("vm", "create", "web1", "--kernel", "k")
    vm = cli.json("vm", "ls")[0]["id"]
    record = {"boot_id": node.boot, "seq": "1", "mono_ns": "1", "wall_ms": "1772359200000", "vm": vm, "epoch": "1",
              "vcpus": 1, "memory_mib": 256, "final": False, "vcpu_alloc_ns": "60000000000", "vcpu_run_ns": "4100000000",
              "mem_mib_ms": "15360000", "net_rx_bytes": "1024", "net_tx_bytes": "2097152", "net_rx_packets": "8",
              "net_tx_packets": "9"}
    equal(node.report(usage=[record]).status, 200, "report")
    table = cli.out("usage")
    check(re.search(r"^web1 +60\.00 s +4\.10 s +15360 +1 KiB +2 MiB +8 +9 +1 ", table, re.MULTILINE), table)
    equal(cli.json("usage", "--vm", "web1")[0]["vcpu_run_ns"], "4100000000", "--json")
    equal(cli.json("usage", "--records")[0]["seq"], "1", "--records")
    cli.run("vm", "rm", "web1")
    equal(cli.json("usage")[0]["deleted"], True, "kept")
    codes = [event["code"] for event in cli.json("events")]
    check(codes.index("vm_created") < codes.index("vm_deleted"), f"the newest last: {codes}")
    equal(len(cli.json("events", "--limit", "2")), 2, "--limit")
    check("VM 'web1' created" in cli.out("events", "--node", "host1"), "as a table")


@test
def lists_more_than_one_page(cli):
    for i in range(205):
        cli.c.join_token(f"t{i}")
    equal(len(cli.json("join-token", "ls")), 205, "all of them")


def main():
    controllersite.ARGS = argparse.Namespace(billetd=str(REPO / "build/billetd"), keep=False)
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    failed = 0
    for fn in TESTS:
        name = "cli: " + fn.__name__.replace("_", " ")
        if word not in fn.__name__:
            continue
        controller = None
        try:
            controller = Controller()
            fn(Cli(controller))
            print(f"ok - {name}", flush=True)
        except Exception as wrong:  # of whatever kind: one test's failure is not another's
            failed += 1
            lines = [f.lineno for f in traceback.extract_tb(wrong.__traceback__) if f.name == fn.__name__]
            story = f"line {lines[-1] if lines else '?'}: {type(wrong).__name__}: {wrong}"
            print(f"not ok - {name}\n# " + story.replace("\n", "\n# "), flush=True)
        finally:
            if controller:
                controller.stop()
    sys.exit(1 if failed else 0)


main()
