#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node that has what a cloud VM has and nothing else: a network card and a disk of virtio.

The controller is behind a tap device in a network namespace, so that its Linux hands TCP on in large
segments. Where there can be none (tests/system/lib/tapwire.py) it is QEMU's user network.

Prints "ok - name" and "not ok - name" lines; exits 0 when none is "not ok".
"""
import os
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True
os.environ["BILLET_EMULATOR"] = "qemu"  # Bochs has no virtio
sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))
import nodesite  # noqa: E402
import tap  # noqa: E402
import tapwire  # noqa: E402
from nodesite import BEAT, HOST, Machine, Site, Wire, check, equal, until  # noqa: E402

LARGE_MIB = 4
OUTSIDE = None  # the tapwire.Host, or why there is none
DEVICES = ["-device", "virtio-net-pci,netdev=wire,id=card0",
           "-drive", "if=none,id=disk,driver=null-co,size=1073741824,read-zeroes=on",
           "-device", "virtio-blk-pci,drive=disk,serial=cloud-disk-1"]


class CloudMachine(Machine):
    """In place of the card of other tests."""

    def __init__(self, *args, **options):
        super().__init__(*args, **{**options, "board": "q35", "nic": False, "extra": [
            "-netdev", f"{tapwire.netdev() if has_tap() else 'user'},id=wire", *DEVICES]})


def has_tap():
    return isinstance(OUTSIDE, tapwire.Host)


def said(site, regex, timeout_s=20):
    return until(f"a line {regex!r}", timeout_s, lambda: re.search(regex, site.serial(), re.MULTILINE))


@tap.test
def enrols_through_virtio_net(site):
    if has_tap():
        relay = Wire(HOST)
        relay.to = site.wire.port
        site.boot(site.configuration(port=relay.port, extra="address = 10.0.2.15/24"))
    else:
        site.boot()
    equal([(nic["driver"], nic["link"], nic["uplink"]) for nic in site.node()["nics"]],
          [("virtio-net", True, True)], "network cards")


@tap.test
def tells_of_the_disk(site):
    said(site, r"virtio-blk: \S+: vblk0: 1024 MiB in sectors of 512 bytes.*, serial 'cloud-disk-1'$")


@tap.test
def runs_a_vm_whose_image_came_that_way(site):
    site.controller.image("large", BEAT.read_bytes() + os.urandom(LARGE_MIB << 20), kind="initrd")
    site.vm("web1", cmdline="mute=1", initrd="large")
    site.until_state("web1", "running", 120)
    nic = site.node()["nics"][0]
    until("the image's bytes", 20, lambda: int(site.node()["nics"][0]["rx_bytes"]) > LARGE_MIB << 20)
    equal((nic["rx_dropped"], nic["tx_dropped"]), ("0", "0"), "lost frames")


@tap.test
def took_it_in_large_segments(site):
    """Which the driver puts together and the switch cuts for the agent."""
    if not has_tap():
        raise tap.Skip(OUTSIDE)
    tap.note(f"{OUTSIDE.nr_large} large segments")
    check(OUTSIDE.nr_large > 20 * LARGE_MIB, f"Linux has handed on {OUTSIDE.nr_large} large segments")


@tap.test
def goes_on_after_the_cable_was_out(site):
    site.machine.qmp("set_link", name="card0", up=False)
    said(site, r"virtio-net: \S+: \S+, no link$")
    before = site.node()["last_seen_at"]
    site.machine.qmp("set_link", name="card0", up=True)
    until("the link is up", 20, lambda: len(re.findall(r"virtio-net: \S+: \S+, link up$", site.serial(),
                                                       re.MULTILINE)) == 2)
    until("a report", 60, lambda: site.node()["last_seen_at"] != before)
    check(site.show("web1")["state"] == "running", "the VM runs on")


def main():
    global OUTSIDE
    nodesite.Machine = CloudMachine
    try:
        tapwire.enter_namespace()
        OUTSIDE = tapwire.Host(f"{HOST}/24")
    except tapwire.Unusable as why:
        OUTSIDE = str(why)
    with Site() as site:
        status = tap.main("qemu", site)
        if status and site.machine:
            tap.note(site.serial()[-4000:])
    return status


sys.exit(main())
