# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# TAP: one line per function that is marked with @test, in file order.

import errno
import functools
import os
import sys
import traceback

TESTS = []


def test(function):
    TESTS.append(function)
    return function


def over(*cases):
    """One test for each case, named after it."""
    def mark(function):
        for case in cases:
            one = functools.partial(function, case)
            one.__name__ = "%s_%s" % (function.__name__, case)
            TESTS.append(one)
        return function
    return mark


def refused(wanted, call, *args):
    """The call must fail with this errno."""
    try:
        call(*args)
    except OSError as e:
        assert e.errno == wanted, "%s instead of %s" % (
            errno.errorcode[e.errno], errno.errorcode[wanted])
        return
    raise AssertionError("no error, %s wanted" % errno.errorcode[wanted])


def opened(path, flags=os.O_RDONLY):
    os.close(os.open(path, flags))


def main(*args):
    bad = 0
    for n, function in enumerate(TESTS, 1):
        try:
            function(*args)
            print("ok %d - %s" % (n, function.__name__), flush=True)
        except Exception:  # pylint: disable=broad-except
            bad += 1
            for line in traceback.format_exc().splitlines():
                print("# " + line)
            print("not ok %d - %s" % (n, function.__name__), flush=True)
    print("1..%d" % len(TESTS))
    sys.exit(1 if bad else 0)
