#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
"""Reproduces the test vectors of attest/PROTOCOL.md, and verifies bundles.

usage: check-protocol.py [BUNDLE|LOG.receipts...]

Written from attest/PROTOCOL.md alone, with nothing but Python's library; it
shares no code with what it checks.  Every vector of derive-vectors.json is
computed anew, must stand in the document, and every value that the document
shows must be one of the vectors.  Of each BUNDLE the leaf, the inclusion proof
and both nonces are verified; of each log its chain, and the same of each round
and admission.  Prints TAP.
"""

import base64
import hashlib
import json
import os
import re
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SHOWN = re.compile(r'^\t([a-z0-9-]+) =((?: |[0-9a-f]|\n\t    )*)$', re.M)
TEXT = re.compile(r'^\t([a-z0-9-]+-body) =\n((?:\t    .*\n)+)', re.M)
MEMBER = re.compile(r'"([a-z0-9_]+)":(?:"[^"]*"|[0-9]+|true|false|{[^}]*})')
DOCUMENT = os.path.join(HERE, '..', '..', 'attest', 'PROTOCOL.md')


def sha256(data):
	return hashlib.sha256(data).digest()


def make_tuple(tag, *fields):
	out = struct.pack('>H', len(tag)) + tag.encode('ascii')
	for field in fields:
		if isinstance(field, int):
			field = struct.pack('>Q', field)
		out += struct.pack('>I', len(field)) + field
	return out


def session_leaf(v):
	return make_tuple('cvm-pkcs11/session/1', v['serial'].encode(),
	    v['pid'], v['fork_count'], bytes.fromhex(v['random']))


def operation_leaf(v):
	return make_tuple('cvm-pkcs11/operation/1', v['serial'].encode(),
	    bytes.fromhex(v['session_id']), v['counter'],
	    v['function'].encode(), v['mechanism'],
	    bytes.fromhex(v['parameter_digest']),
	    bytes.fromhex(v['key_fingerprint']),
	    bytes.fromhex(v['input_digest']), bytes.fromhex(v['random']))


def parameter_digest(v):
	"""Of numbers, and of fields in hex."""
	out = b''
	for part in v['parts']:
		if isinstance(part, int):
			out += struct.pack('>Q', part)
		else:
			part = bytes.fromhex(part)
			out += struct.pack('>I', len(part)) + part
	return sha256(out)


def challenge_leaf(v):
	return make_tuple('cvm-pkcs11/challenge/1', bytes.fromhex(v['nonce']),
	    bytes.fromhex(v['key_fingerprint']))


def key_leaf(v):
	flags = bytes(v[name] for name in ('local', 'always_sensitive',
	    'never_extractable', 'sensitive', 'extractable', 'bind_operation'))
	return make_tuple('cvm-pkcs11/key/1', v['serial'].encode(),
	    bytes.fromhex(v['nonce']), bytes.fromhex(v['fingerprint']),
	    make_tuple('cvm-pkcs11/birth/1', v['class'].encode(),
	        int(v['key_type'], 16), v['origin'].encode(),
	        int(v['key_gen_mechanism'], 16), flags))


def fields(leaf):
	"""Tag and fields of a tuple."""
	at = 2 + struct.unpack('>H', leaf[:2])[0]
	out = [leaf[2:at]]
	while at < len(leaf):
		size = struct.unpack('>I', leaf[at:at + 4])[0]
		out.append(leaf[at + 4:at + 4 + size])
		at += 4 + size
	return out


def chain_leaf(v):
	return make_tuple('cvm-pkcs11/chain/1', bytes.fromhex(v['head']))


def receipt_hash(v):
	return sha256(make_tuple('cvm-pkcs11/receipt/1',
	    bytes.fromhex(v['prev']), sha256(v['body'].encode('ascii'))))


def sums(body):
	members = [m.group(0) for m in MEMBER.finditer(body)]
	return ''.join(sha256(m.encode('ascii')).hex()[:4]
	    for m in members[:-1])


def report_data(v):
	return hashlib.sha512(make_tuple('cvm-pkcs11/report-data/1',
	    bytes.fromhex(v['root']), bytes.fromhex(v['ak_name']),
	    bytes.fromhex(v['policy_digest']))).digest()


def qualifying(v):
	report = bytes.fromhex(v['tee_report'])
	return sha256(make_tuple('cvm-pkcs11/quote/1', bytes.fromhex(v['root']),
	    sha256(report) if report else b''))


def leaf_hash(leaf):
	return sha256(b'\x00' + leaf)


def node_hash(left, right):
	return sha256(b'\x01' + left + right)


def levels(leaves):
	"""The tree from the leaves up; an odd one out rises unchanged, which
	gives the same tree as the recursion of RFC 9162, section 2.1.1."""
	row = [leaf_hash(leaf) for leaf in leaves]
	out = [row]
	while len(row) > 1:
		row = [node_hash(*row[i:i + 2]) if i + 1 < len(row) else row[i]
		    for i in range(0, len(row), 2)]
		out.append(row)
	return out


def tree_root(leaves):
	return levels(leaves)[-1][0]


def tree_path(leaves, index):
	path = b''
	for row in levels(leaves)[:-1]:
		if index ^ 1 < len(row):
			path += row[index ^ 1]
		index //= 2
	return path


def root_of_path(leaf, index, size, path):
	"""The root that a proof leads to, or None (RFC 9162, 2.1.3.2)."""
	if index >= size or len(path) % 32:
		return None
	at, last, value = index, size - 1, leaf_hash(leaf)
	for i in range(0, len(path), 32):
		if last == 0:
			return None
		if at & 1 or at == last:
			value = node_hash(path[i:i + 32], value)
			while not at & 1 and at:
				at, last = at >> 1, last >> 1
		else:
			value = node_hash(value, path[i:i + 32])
		at, last = at >> 1, last >> 1
	return value if last == 0 else None


def numbered(n):
	return [('leaf %d' % i).encode() for i in range(n)]


def tree(v):
	return tree_root(numbered(v['size']))


def proof(v):
	path = tree_path(numbered(v['size']), v['index'])
	leaf = numbered(v['size'])[v['index']]
	assert root_of_path(leaf, v['index'], v['size'], path) == tree(v)
	return path


KINDS = {
    'tuple': lambda v: make_tuple(v['tag'],
        *(bytes.fromhex(f) for f in v['fields'])),
    'session': session_leaf,
    'operation': operation_leaf,
    'parameter': parameter_digest,
    'challenge': challenge_leaf,
    'chain': chain_leaf,
    'key': key_leaf,
    'receipt': receipt_hash,
    'report_data': report_data,
    'qualifying': qualifying,
    'root': tree,
    'path': proof,
}


class Tap:
	def __init__(self):
		self.n = 0
		self.bad = 0

	def check(self, ok, name):
		self.n += 1
		self.bad += not ok
		print('%sok %d - %s' % ('' if ok else 'not ', self.n, name))

	def end(self):
		print('1..%d' % self.n)
		return 1 if self.bad else 0


def check_vectors(tap, vectors):
	for v in vectors:
		tap.check(KINDS[v['kind']](v).hex() == v['out'], v['name'])


def check_document(tap, vectors):
	with open(DOCUMENT, encoding='ascii') as f:
		text = f.read()
	shown = dict(SHOWN.findall(text))
	for v in vectors:
		if 'body' in v:
			body = dict(TEXT.findall(text)).get('receipt-body', '')
			body = re.sub(r'\t    |\n', '', body)
			tap.check(body == v['body'],
			    'the document shows the body')
			tap.check(sums(v['body']) in v['body'], 'its sums')
	shown.pop('receipt-body', None)
	shown = {k: re.sub(r'\s', '', v) for k, v in shown.items()}
	known = {v['name']: v['out'] for v in vectors}
	for name in sorted(set(shown) | set(known)):
		tap.check(shown.get(name) == known.get(name),
		    'the document shows ' + name)


def check_trees(tap):
	"""Every proof of every small tree leads to its root, and no other."""
	ok = True
	for size in range(1, 71):
		leaves = numbered(size)
		root = tree_root(leaves)
		for index in range(size):
			path = tree_path(leaves, index)
			ok = ok and root_of_path(leaves[index], index, size,
			    path) == root
			ok = ok and root_of_path(b'other', index, size,
			    path) != root
	tap.check(ok, 'trees of 1 to 70 leaves')


def ak_name(public):
	"""nameAlg follows type in a TPMT_PUBLIC."""
	alg = struct.unpack('>H', public[2:4])[0]
	hashes = {0x000b: hashlib.sha256, 0x000c: hashlib.sha384}
	return public[2:4] + hashes[alg](public).digest()


def extra_data(attest):
	"""TPMS_ATTEST: magic, type, qualifiedSigner, extraData."""
	at = 6
	at += 2 + struct.unpack('>H', attest[at:at + 2])[0]
	size = struct.unpack('>H', attest[at:at + 2])[0]
	return attest[at + 2:at + 2 + size]


def carried(want, hcl, manifest):
	"""REPORT_DATA of the hardware for the 64 bytes that the guest gave."""
	if manifest:
		return hashlib.sha512(want + manifest).digest()
	if not hcl:
		return want
	alg, size = struct.unpack('<II', hcl[0x4cc:0x4d4])
	runtime = hcl[0x4d4:0x4d4 + size]
	if json.loads(runtime)['user-data'].lower() != want.hex():
		return None
	digest = {1: hashlib.sha256, 2: hashlib.sha384, 3: hashlib.sha512}[alg]
	return digest(runtime).digest().ljust(64, b'\0')


def leaf_of(r):
	"""The leaf of an admission's line, from its members."""
	v = dict(r)
	if r['kind'] == 'session':
		v.update(pid=int(r['pid']), fork_count=int(r['fork_count']))
		return session_leaf(v)
	if r['kind'] == 'operation':
		v.update(session_id=r['session'], counter=int(r['counter']),
		    mechanism=int(r['mechanism'], 16), key_fingerprint=r['key'])
		return operation_leaf(v)
	if r['kind'] == 'challenge':
		return challenge_leaf({'nonce': r['nonce'],
		    'key_fingerprint': r.get('key', '')})
	return base64.b64decode(r['leaf'], validate=True)


def check_nonces(r, parts):
	"""Both nonces of a round with evidence."""
	report, public = parts[r.get('tee_report')], parts[r.get('ak_public')]
	good = True
	if report:
		want = report_data({'root': r['tee_root'],
		    'ak_name': ak_name(public).hex() if public else '',
		    'policy_digest': r['policy_digest']})
		want = carried(want, parts[r.get('hcl_report')],
		    parts[r.get('svsm_manifest')])
		at = {'snp': 0x50, 'tdx': 48 + 520}[r['tee']]
		good = report[at:at + 64] == want
	if 'tpm_quote' in r:
		quote = base64.b64decode(r['tpm_quote'], validate=True)
		good = good and extra_data(quote) == qualifying(
		    {'root': r['root'], 'tee_report': report.hex()})
	return good


def check_log(tap, path):
	name = os.path.basename(path)
	prev, heads, parts, lines = None, set(), {None: b''}, 0
	chain = proofs = nonces = True
	with open(path, encoding='ascii') as f:
		text = f.read()
	for line in text.split('\n')[:-1]:
		body, tail = line.rsplit(',"prev":', 1)
		r = json.loads(line)
		want = receipt_hash({'prev': r['prev'], 'body': body}).hex()
		chain = chain and want == r['hash'] and \
		    prev in (None, r['prev']) and r['sums'] == sums(body) and \
		    tail == '"%s","hash":"%s"}' % (r['prev'], r['hash'])
		prev, lines = r['hash'], lines + 1
		if lines == 1:
			heads.add(r['prev'])
		if r['type'] == 'part':
			data = base64.b64decode(r['data'], validate=True)
			proofs = proofs and sha256(data).hex() == r['sha256']
			parts[r['sha256']] = data
		elif r['type'] == 'round':
			root = root_of_path(chain_leaf(r), r['leaves'] - 1,
			    r['leaves'], bytes.fromhex(r['head_path']))
			proofs = proofs and r['head'] in heads and \
			    root.hex() == r['root']
			if r['verdict'] != 'none':
				nonces = nonces and check_nonces(r, parts)
			last = r
		elif r['type'] == 'admission':
			root = root_of_path(leaf_of(r), r['index'],
			    last['leaves'], bytes.fromhex(r['path']))
			proofs = proofs and root is not None and \
			    r['root'] == last['root'] == root.hex()
		heads.add(r['hash'])
	tap.check(text.endswith('\n') and lines > 1 and chain,
	    name + ': the chain')
	tap.check(proofs, name + ': every leaf is under its root')
	tap.check(nonces, name + ': nonces of every round')


def check_bundle(tap, path):
	with open(path, encoding='utf-8') as f:
		b = json.load(f)
	adm, ev = b['admission'], b['evidence']

	def part(name):
		return base64.b64decode(ev.get(name, ''), validate=True)

	name = os.path.basename(path)
	root = root_of_path(base64.b64decode(adm['leaf']), adm['index'],
	    adm['leaves'], bytes.fromhex(adm['path']))
	tap.check(root is not None and root.hex() == adm['root'],
	    name + ': the leaf is under the root')
	if 'key' in b:
		leaf = base64.b64decode(adm['leaf'])
		said = dict(b['key'], nonce=fields(leaf)[2].hex())
		tap.check(key_leaf(said) == leaf, name + ': the key')
	public, report = part('ak_public'), part('tee_report')
	if report:
		want = report_data({'root': adm['tee_root'],
		    'ak_name': ak_name(public).hex() if public else '',
		    'policy_digest': b['policy_digest']})
		want = carried(want, part('hcl_report'), part('svsm_manifest'))
		at = {'snp': 0x50, 'tdx': 48 + 520}[ev['tee']]
		tap.check(report[at:at + 64] == want, name + ': REPORT_DATA')
	if part('tpm_quote'):
		want = qualifying({'root': adm['root'],
		    'tee_report': report.hex()})
		tap.check(extra_data(part('tpm_quote')) == want,
		    name + ': extraData')


def main():
	with open(os.path.join(HERE, 'derive-vectors.json'),
	    encoding='ascii') as f:
		vectors = json.load(f)['vectors']
	tap = Tap()
	check_vectors(tap, vectors)
	check_document(tap, vectors)
	check_trees(tap)
	for path in sys.argv[1:]:
		if path.endswith('.receipts'):
			check_log(tap, path)
		else:
			check_bundle(tap, path)
	return tap.end()


if __name__ == '__main__':
	sys.exit(main())
