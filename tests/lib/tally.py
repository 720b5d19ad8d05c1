#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
"""Counts test results and remembers the failures.

usage: tally.py output DIR LABEL STATUS FILE
       tally.py meson DIR LABEL STATUS TESTLOG.json
       tally.py sum DIR

`output` counts one program's output: each TAP line is a test; without TAP the
program is one test by its exit status (0 passed, 77 skipped).  `meson` counts
every program in meson's log, and meson itself where it failed and no program
did.  Both append to DIR/counts and DIR/failures and print one line for each
program.  `sum` prints the failures, what was skipped, and the total, and exits
1 if anything failed or nothing passed.
"""

import fcntl
import json
import os
import re
import sys

SKIPPED = 77
# cmocka 1.1 writes a skipped test as "not ok N # SKIP": the directive rules.
RESULT = re.compile(r'(not )?ok\b(?:\s+(\d+))?([^#]*)(#\s*skip\b.*)?', re.I)
PLAN = re.compile(r'1\.\.(\d+)(?:\s*#\s*skip\b(.*))?', re.I)
BAIL_OUT = 'Bail out!'


class Outcome:
	"""What one program's output says."""

	def __init__(self):
		self.passed = self.failed = self.skipped = 0
		self.plan = None
		self.results = 0
		self.faults = []

	def fault(self, text):
		self.failed += 1
		self.faults.append(text)

	def line(self, text):
		plan = PLAN.match(text)
		if plan and self.plan is None:
			self.plan = int(plan.group(1))
			return
		if plan:
			self.fault('more than one TAP plan')
			return
		if text.startswith(BAIL_OUT):
			self.fault(text)
			return
		result = RESULT.match(text)
		if result is None:
			return
		self.results += 1
		if result.group(4):
			self.skipped += 1
		elif result.group(1):
			self.failed += 1
			self.faults.append(text)
		else:
			self.passed += 1

	def finish(self, status):
		"""Weighs the exit status against what TAP said."""
		if self.results == 0 and self.plan is None and not self.faults:
			if status == 0:
				self.passed = 1
			elif status == SKIPPED:
				self.skipped = 1
			else:
				self.fault(f'exit status {status}')
			return
		if self.plan == 0 and self.results == 0 and status == 0:
			self.skipped = 1
			return
		if self.plan is None:
			self.fault('TAP without a plan')
		elif self.plan != self.results:
			self.fault(f'planned {self.plan} tests, '
			    f'ran {self.results}; exit status {status}')
		if status not in (0, SKIPPED) and self.failed == 0:
			self.fault(f'exit status {status}')


def count(text, status):
	outcome = Outcome()
	for line in text.splitlines():
		outcome.line(line)
	outcome.finish(status)
	return outcome


def append(path, text):
	"""In one piece: programs that run side by side are counted so."""
	with open(path, 'a', encoding='utf-8') as f:
		fcntl.flock(f, fcntl.LOCK_EX)
		f.write(text)


def record(directory, label, outcome, text):
	append(os.path.join(directory, 'counts'),
	    f'{outcome.passed} {outcome.failed} '
	    f'{outcome.skipped} {label}\n')
	word = 'ok'
	if outcome.failed:
		word = 'FAILED'
		faults = ''.join(f'--- {x}\n' for x in outcome.faults)
		append(os.path.join(directory, 'failures'),
		    f'=== {label}\n{text.rstrip()}\n{faults}\n')
	elif outcome.passed == 0:
		word = 'skipped'
	elif outcome.skipped:
		word = 'partly'
	detail = f'{outcome.passed} passed'
	if outcome.failed:
		detail += f', {outcome.failed} failed'
	if outcome.skipped:
		detail += f', {outcome.skipped} skipped'
	print(f'{word:8}{label} ({detail})', flush=True)


def do_output(directory, label, status, path):
	with open(path, encoding='utf-8', errors='replace') as f:
		text = f.read()
	record(directory, label, count(text, int(status)), text)


def do_meson(directory, label, meson_status, path):
	with open(path, encoding='utf-8', errors='replace') as f:
		tests = [json.loads(line) for line in f if line.strip()]
	failed = 0
	for test in sorted(tests, key=lambda t: t['name']):
		status = test.get('returncode', 1)
		# A test that ran out of time has no exit status of its own.
		if status == 0 and test['result'] not in ('OK', 'SKIP'):
			status = 1
		text = test.get('stdout') or ''
		errors = test.get('stderr') or ''
		outcome = count(text, status)
		failed += outcome.failed
		name = test['name'].rsplit('/', 1)[-1].split(':')[-1].strip()
		record(directory, f'{label}: {name}', outcome,
		    f'{text}{errors}\n(meson: {test["result"]})')
	if int(meson_status) != 0 and failed == 0 or not tests:
		record(directory, label, count('', int(meson_status) or 1),
		    f'meson ended with {meson_status}')


def do_sum(directory):
	totals = [0, 0, 0]
	skipping = []
	counts = os.path.join(directory, 'counts')
	if os.path.exists(counts):
		with open(counts, encoding='utf-8') as f:
			for line in f:
				*three, label = line.split(maxsplit=3)
				for i, n in enumerate(three):
					totals[i] += int(n)
				if int(three[2]) > 0:
					skipping.append((label.strip(),
					    int(three[2])))
	failures = os.path.join(directory, 'failures')
	if os.path.exists(failures):
		with open(failures, encoding='utf-8') as f:
			print('\n' + f.read(), end='')
	if skipping:
		print('\nnot all of it was tested:')
		print(''.join(f'{n:8} skipped in {x}\n' for x, n in skipping))
	print('{} passed, {} failed, {} skipped'.format(*totals))
	sys.exit(1 if totals[1] > 0 or totals[0] == 0 else 0)


VERBS = {'output': (do_output, 4), 'meson': (do_meson, 4), 'sum': (do_sum, 1)}


def main(argv):
	if len(argv) < 2 or argv[1] not in VERBS:
		sys.exit(__doc__)
	function, arguments = VERBS[argv[1]]
	if len(argv) - 2 != arguments:
		sys.exit(__doc__)
	function(*argv[2:])


if __name__ == '__main__':
	main(sys.argv)
