#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
"""Runs a command and leaves nothing of it behind.

usage: contain.py SECONDS OUTPUT COMMAND [ARGUMENT...]

The command gets no stdin, and its stdout and stderr go to OUTPUT.  This
process becomes the reaper of all its descendants, so daemons that detach are
found and ended too, whether the command succeeds, fails, or takes longer than
SECONDS (exit status 124, as timeout(1) has it).
"""

import ctypes
import os
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
TIMED_OUT = 124


def stat_of(pid):
	"""(name, parent) from /proc/PID/stat, or None."""
	try:
		with open(f'/proc/{pid}/stat', encoding='utf-8',
		    errors='replace') as f:
			text = f.read()
	except OSError:
		return None
	name = text[text.index('(') + 1:text.rindex(')')]
	rest = text[text.rindex(')') + 1:].split()
	return name, int(rest[1])


def descendants():
	"""{pid: name} of everything below this process."""
	tree = {}
	for entry in os.listdir('/proc'):
		if entry.isdigit():
			tree[int(entry)] = stat_of(entry)
	found = {}
	parents = {os.getpid()}
	while parents:
		below = {pid for pid, stat in tree.items()
		    if stat and stat[1] in parents and pid not in found}
		for pid in below:
			found[pid] = tree[pid][0]
		parents = below
	return found


def reap():
	try:
		while os.waitpid(-1, os.WNOHANG)[0] != 0:
			pass
	except ChildProcessError:
		pass


def signal_all(number):
	for pid in descendants():
		try:
			os.kill(pid, number)
		except ProcessLookupError:
			pass


def end_descendants():
	"""Ends what is left; returns the names of what was there."""
	time.sleep(0.05)
	reap()
	left = descendants()
	for number, patience in ((signal.SIGTERM, 3), (signal.SIGKILL, 10)):
		deadline = time.monotonic() + patience
		signal_all(number)
		while descendants() and time.monotonic() < deadline:
			time.sleep(0.05)
			reap()
			if number == signal.SIGKILL:
				signal_all(number)
	return sorted(set(left.values()))


def stop(_number, _frame):
	raise SystemExit(128 + signal.SIGTERM)


def run(seconds, log, command):
	child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
	    stderr=subprocess.STDOUT, start_new_session=True)
	deadline = time.monotonic() + seconds
	while time.monotonic() < deadline:
		# Daemons that ended must not stay zombies: kill -0 finds those.
		pid, status = os.waitpid(-1, os.WNOHANG)
		if pid == child.pid:
			child.returncode = os.waitstatus_to_exitcode(status)
			return child.returncode if child.returncode >= 0 \
			    else 128 - child.returncode
		if pid == 0:
			time.sleep(0.02)
	log.write(f'# timed out after {seconds} s\n'.encode())
	return TIMED_OUT


def main(argv):
	if len(argv) < 4:
		sys.exit(__doc__)
	libc = ctypes.CDLL(None, use_errno=True)
	libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
	for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
		signal.signal(number, stop)
	with open(argv[2], 'ab', buffering=0) as log:
		try:
			status = run(float(argv[1]), log, argv[3:])
		finally:
			left = end_descendants()
			if left:
				names = ', '.join(left)
				log.write(f'# left running: {names}\n'
				    .encode())
	sys.exit(status)


if __name__ == '__main__':
	main(sys.argv)
