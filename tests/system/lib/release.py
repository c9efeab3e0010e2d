# SPDX-License-Identifier: Apache-2.0
"""Releases as an operator signs them, with openssl: see docs/updates.md."""
import hashlib
import struct
import subprocess


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=data, stdout=subprocess.PIPE, check=True).stdout


def make_key(file):
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", file)


def public_hex(key):
    """What update_key= wants: the uncompressed point, which is the end of the DER form."""
    return openssl("ec", "-in", key, "-pubout", "-outform", "DER", "-conv_form", "uncompressed")[-65:].hex()


def _raw(der):
    """r and s, 32 bytes each, out of SEQUENCE { INTEGER r, INTEGER s }."""
    numbers, at = [], 2
    for _ in range(2):
        length = der[at + 1]
        numbers.append(int.from_bytes(der[at + 2:at + 2 + length], "big"))
        at += 2 + length
    return b"".join(number.to_bytes(32, "big") for number in numbers)


def manifest(image, version, key):
    """struct ctl_update_manifest of vmm/control_abi.h, signed."""
    signed = struct.pack("<16s64s32sQ", b"billet-release-1", version.encode(), hashlib.sha256(image).digest(), len(image))
    return signed + _raw(openssl("dgst", "-sha256", "-sign", key, data=signed))
