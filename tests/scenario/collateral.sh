#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# Endorsements come from the vendors by cvm-token alone: a machine without them
# is denied, fetches them, and is admitted; no bad answer replaces a good file;
# the module itself never asks the network.

. "$(dirname "$(readlink -f "$0")")/lib.sh"

openssl rand 32 >digest
sign() { user --sign -m ECDSA --id 02 -i digest -o ok.sig; }
admitted() { token status >status.out 2>&1 && sign; }
stale_told() {
	exits 1 "amd/milan/crl-vcek.der: CRL of" token policy diff &&
	    grep -q "CN=ARK-Milan: nextUpdate 20" exits.out &&
	    grep -q "nextUpdate not before 20.*, the time judged at" exits.out
}
denied_for() {
	local rc=0
	token status >status.out 2>&1 || rc=$?
	cat status.out
	[ "$rc" -eq 1 ] && grep -qF -- "$1" status.out
}

# vendors NAME DIR: serves DIR; sets url.
vendors() {
	mkdir -p "web-$1"
	/usr/bin/python3 "$CVM_SOURCE/tests/scenario/vendors.py" "$2" \
	    "web-$1" >"web-$1/out" 2>&1 </dev/null &
	daemons+=($!)
	until_true 20 test -s "web-$1/port" || exit 1
	url=http://127.0.0.1:$(cat "web-$1/port")
	web=web-$1
}
collateral() {
	timeout 100 "$TOKEN" collateral "$@"
}
fetch() {
	collateral fetch --insecure-http --amd-url "$url" --intel-url "$url" \
	    --google-url "$url" --ak-crl-url "$url" \
	    --intel-root-crl-url "$url/IntelSGXRootCA.der" "$@"
}
fault() { echo "$*" >"$web/faults"; }
# exits STATUS TEXT COMMAND...: the status is this one, and the output has TEXT.
exits() {
	local want=$1 text=$2 rc=0
	shift 2
	"$@" >exits.out 2>&1 || rc=$?
	cat exits.out
	[ "$rc" -eq "$want" ] && grep -qF -- "$text" exits.out
}
# tree: what is in the directory that a reader sees.
tree() {
	(cd "$dir" && find . -type f ! -name '.*' -exec sha256sum {} + | sort)
}
# keeps STATUS TEXT FAULT...: with this fault nothing that was there changes.
keeps() {
	local want=$1 text=$2
	shift 2
	tree >tree.before
	fault "$@"
	exits "$want" "$text" fetch || return 1
	rm -f "$web/faults"
	tree | diff tree.before -
}
# forget FILE: the file is not there.
forget() { rm -rf "${dir:?}/$1"; }

# setup NAME OPTION...: a machine, its token, and a directory that has none of
# the TEE vendor's files.
setup() {
	local name=$1
	shift
	machine "$name" "$@"
	configure "$name"
	enroll "$name" "p['tee_report_max_age_s'] = 0"
	make_token
	make_keys
	dir=$CVM_TMP/etc-$name/endorsements
	mkdir "$dir"
	cp -r "$name/collateral/google" "$dir/"
	edit "etc-$name/config.json" "p['evidence']['collateral'] = '$dir'"
	vendors "$name" "$CVM_TMP/$name/collateral"
}

setup snp --platform snp
check "snp: denied without endorsements" denied_for amd/milan/crl-vcek.der
check "snp: status names what is missing" exits 1 \
    "missing   amd/milan/crl-vcek.der" collateral status
check "snp: once" lacks "no such file" collateral status
check "snp: plain http is refused" exits 2 "https://" collateral fetch \
    --amd-url "$url"
check "snp: a server that is not there" exits 2 \
    "unreachable amd/milan/ask.pem" collateral fetch --insecure-http \
    --amd-url http://127.0.0.1:1
check "snp: still denied" denied_for amd/milan/crl-vcek.der
fault 2 429 /crl
check "snp: fetch waits where it is asked to" exits 0 \
    "new         amd/milan/crl-vcek.der" fetch
check "snp: and asked three times" test "$(grep -c /crl "$web/log")" -eq 3
check "snp: it says who it is" grep -q "cvm-token/" "$web/log"
check "snp: admitted" until_true 10 admitted
check "snp: status is content" exits 0 "all that is needed is there" \
    collateral status
check "snp: status for programs" exits 0 '"state":' collateral status --json
cp etc-snp/config.json one-token.json
edit etc-snp/config.json "import copy
t = copy.deepcopy(p['tokens'][0])
t.update(name='second', store=t['store'] + '2',
    policy=t['policy'].replace('policy', 'second'))
p['tokens'].append(t)"
cp etc-snp/policy.json etc-snp/second.json
check "snp: two tokens: fetch for both" exits 0 "etc-snp/second.json" fetch
check "snp: two tokens: status of both" exits 0 "etc-snp/second.json" \
    collateral status
check "snp: two tokens: one document for programs" exits 2 "--token" \
    collateral status --json
check "snp: two tokens: of one of them" exits 0 '"state":' collateral status \
    --json --token second
check "snp: two tokens: import needs none" exits 0 "ark.pem" \
    collateral import snp/collateral/amd/milan/ark.pem
cp one-token.json etc-snp/config.json
check "snp: a long warning finds something" exits 1 "expiring" \
    collateral status --warn-days 3650
check "snp: certificates are kept" exits 0 "kept        amd/milan/ark.pem" fetch
check "snp: a file that is the same is left" exits 0 \
    "unchanged   amd/milan/crl-vcek.der" fetch
check "snp: an error" keeps 2 "expected 200, got 500" 1 500 /crl
check "snp: an error of many words" keeps 2 "expected 200, got 500" \
    1 huge-500 /crl
check "snp: a redirect" keeps 2 "expected 200, got 302" 1 redirect /crl
check "snp: a truncated CRL" keeps 1 "refused     amd/milan/crl-vcek.der" \
    1 truncated /crl
check "snp: a broken connection" keeps 2 "unreachable" 1 cut /crl
check "snp: an empty CRL" keeps 1 "refused" 1 empty /crl
check "snp: a huge CRL" keeps 1 "more than 4194304 bytes" 1 huge /crl
check "snp: a CRL with a bad signature" keeps 1 "signature" 1 flipped /crl
ctl snp set collateral expired >/dev/null
check "snp: an expired CRL" keeps 1 "refused     amd/milan/crl-vcek.der" \
    0 none none
cp snp/collateral/amd/milan/crl-vcek.der "$dir/amd/milan/crl-vcek.der"
check "snp: status sees an expired one" exits 1 \
    "expired   amd/milan/crl-vcek.der" collateral status
check "snp: what it is, until when it was good, and when it was judged" \
    stale_told
check "snp: and what gets a newer one" exits 1 \
    "try: cvm-token collateral fetch" token policy diff
ctl snp reset >/dev/null
check "snp: the next one replaces it" exits 0 \
    "new         amd/milan/crl-vcek.der" fetch
ctl snp set revoked ca >/dev/null
check "snp: a CRL that revokes is taken" exits 0 \
    "new         amd/milan/crl-vcek.der" fetch
check "snp: and denies" until_true 10 denied_for SNP-18
check "snp: and status says so" exits 1 "revoked" collateral status
ctl snp reset >/dev/null
forget amd/milan/crl-vcek.der
check "snp: fetched anew" fetch
check "snp: and admitted again" until_true 10 admitted

# A chain of another vendor's root.
forget amd
cp -r snp/collateral foreign
for f in ark ask; do
	openssl req -x509 -newkey rsa:2048 -nodes -keyout foreign.key \
	    -days 30 -subj "/C=US/ST=CA/L=Santa Clara/O=Advanced Micro Devices\
/OU=Engineering/CN=$([ $f = ark ] && echo ARK || echo SEV)-Milan" \
	    -out "foreign/amd/milan/$f.pem" 2>/dev/null
done
good=$url good_web=$web
vendors foreign "$CVM_TMP/foreign"
check "snp: another vendor's root" exits 1 "public key" fetch
check "snp: leaves nothing behind" test -z \
    "$(find "$dir/amd" -name '*.pem' 2>/dev/null)"
url=$good web=$good_web

# A server that nobody vouches for.
mkdir web-tls
openssl req -x509 -newkey rsa:2048 -nodes -keyout tls.key -out tls.crt \
    -days 30 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
    2>/dev/null
cat tls.key tls.crt >web-tls/tls.pem
vendors tls "$CVM_TMP/snp/collateral"
check "snp: https with an unknown certificate" exits 2 "certificate" \
    collateral fetch --amd-url "${url/http:/https:}"
check "snp: nothing was asked" test ! -e web-tls/log
url=$good web=$good_web

# Killed while it waits for the last file.
check "snp: from nothing" fetch
tree >tree.before
forget amd/milan/ask.pem
tree >tree.half
fault 1 hang /crl
"$TOKEN" collateral fetch --insecure-http --amd-url "$url" >hang.out 2>&1 &
hanging=$!
check "snp: a fetch that waits" until_true 20 test -e "$web/hanging"
check "snp: another one does not start" exits 2 "no other fetch" fetch
kill -KILL "$hanging"
wait "$hanging" 2>/dev/null
check "snp: killed, it has changed nothing" diff tree.half <(tree)
rm -f "$web/faults"
check "snp: the next one ends the work" fetch
check "snp: all is as it was" diff tree.before <(tree)
echo junk >"$dir/amd/milan/.crl-vcek.der.new"
check "snp: what a crash left is not in the way" until_true 10 admitted

# The module and the network.
inet() { grep -E 'AF_INET|AF_NETLINK' "$1"; }
strace -f -qq -e trace=socket,connect -o module.trace pkcs11-tool \
    --module "$MODULE" --login --pin "$PIN" --sign -m ECDSA --id 02 -i digest \
    -o traced.sig >traced.out 2>&1
check "the module signed under strace" test -s traced.sig
check "the module opens no internet socket" not inet module.trace
strace -f -qq -e trace=socket,connect -o tool.trace "$TOKEN" collateral fetch \
    --insecure-http --amd-url "$url" >traced.out 2>&1
check "cvm-token does, and strace sees it" inet tool.trace
check "the module does not link to libcurl" \
    not sh -c "readelf -d '$MODULE' | grep -q 'NEEDED.*curl'"
"$VCVM" stop "$CVM_TMP/snp" >/dev/null 2>&1

setup tdx --platform tdx
check "tdx: denied without endorsements" denied_for intel/
check "tdx: status names what is missing" exits 1 \
    "missing   intel/qe-identity.json" collateral status
fault 1 503 qe/identity
check "tdx: fetch" exits 0 "new         intel/qe-identity.json" fetch
check "tdx: admitted" until_true 10 admitted
check "tdx: status is content" exits 0 "FMSPC" collateral status
check "tdx: the root CRL as a PCCS has it" exits 0 \
    "unchanged   intel/root-ca.crl" collateral fetch --insecure-http \
    --intel-url "$url/" \
    --intel-root-crl-url "$url/sgx/certification/v4/rootcacrl"
check "tdx: a truncated TCB info" keeps 1 "refused     intel/tcbinfo" \
    1 truncated v4/tcb
check "tdx: a TCB info with a bad signature" keeps 1 "refused" \
    1 flipped v4/tcb
check "tdx: no issuers" keeps 1 "no such header" 1 no-chain qe/identity
check "tdx: a huge QE identity" keeps 1 "more than 1048576 bytes" \
    1 huge qe/identity
check "tdx: a PCK CRL with a bad signature" keeps 1 \
    "refused     intel/pck-crl-platform.der" 1 flipped pckcrl
ctl tdx set collateral expired >/dev/null
check "tdx: expired answers" keeps 1 "refused     intel/qe-identity.json" \
    0 none none
ctl tdx reset >/dev/null
ctl tdx set revoked leaf >/dev/null
check "tdx: a CRL that revokes is taken" exits 0 \
    "new         intel/pck-crl-platform.der" fetch
check "tdx: and denies" until_true 10 denied_for TDX-22
ctl tdx reset >/dev/null
check "tdx: fetched anew" fetch
check "tdx: admitted again" until_true 10 admitted
"$VCVM" stop "$CVM_TMP/tdx" >/dev/null 2>&1

# endorsed NAME TECHNOLOGY: the policy asks for Google's endorsement instead of
# naming the measurement.
endorsed() {
	local tee=$2 field=measurement unit=vcpus value root
	[ "$tee" = snp ] || field=mrtd unit=ram_gib
	value=$(/usr/bin/python3 -c 'import json, sys
p = json.load(open(sys.argv[1]))
print(p[sys.argv[2]][sys.argv[3]][0])' "etc-$1/policy.json" "$tee" $field)
	root=$("$CVM_SOURCE/tests/scenario/launch.py" "$CVM_TMP/$1/collateral" \
	    "$tee" "$value" 4)
	file=google/launch/$value.binarypb
	edit "etc-$1/policy.json" "del p['$tee']['$field']
p['$tee']['launch_endorsement'] = {'roots': ['$root'], 'min_svn': 5,
    '$unit': 4}"
}
# launches NAME TECHNOLOGY CHECK OPTION...: a machine whose firmware Google
# endorses, and nobody else.
launches() {
	local name=$1 tee=$2 id=$3
	shift 3
	setup "$name" "$@"
	check "$name: fetch" fetch
	check "$name: admitted" until_true 10 admitted
	endorsed "$name" "$tee"
	check "$name: denied without the endorsement" denied_for "$id"
	check "$name: status names it" exits 1 "missing   $file" \
	    collateral status
	check "$name: a truncated one" keeps 1 "refused     $file" \
	    1 truncated binarypb
	check "$name: a bad signature" keeps 1 "refused     $file" \
	    1 flipped binarypb
	check "$name: an empty one" keeps 1 "refused     $file" 1 empty binarypb
	check "$name: a huge one" keeps 1 "more than 65536 bytes" \
	    1 huge binarypb
	check "$name: a redirect" keeps 2 "unreachable $file" \
	    1 redirect binarypb
	fault 1 503 binarypb
	check "$name: the endorsement is fetched" exits 0 "new         $file" \
	    fetch
	check "$name: it admits, and its policy is sealed for" \
	    token reseal --pin-file pin
	check "$name: the key signs" until_true 10 admitted
	check "$name: and kept" exits 0 "kept        $file" fetch
	check "$name: status is content" exits 0 "security version 5" \
	    collateral status
	check "$name: enroll asks for its root" exits 0 \
	    "with its root in google/launch-root.pem" token enroll --own-roots
	cp "$name/launch-pki/root.pem" "$dir/google/launch-root.pem"
	check "$name: and proposes it then" exits 0 '"min_svn":	5' \
	    token enroll --own-roots
	check "$name: a proposal that admits" \
	    not grep -q "not admitted" exits.out
	echo junk >"$dir/google/launch-root.pem"
	check "$name: a root that is none" exits 2 "google/launch-root.pem" \
	    token enroll --own-roots
	rm "$dir/google/launch-root.pem"
	check "$name: status is still content" collateral status
	edit "etc-$name/policy.json" \
	    "p['$tee']['launch_endorsement']['min_svn'] = 6"
	check "$name: one that is too old" exits 1 "refused   $file" \
	    collateral status
	"$VCVM" stop "$CVM_TMP/$name" >/dev/null 2>&1
}

# others NAME OPTION...: from nothing to all that is needed.
others() {
	setup "$@"
	check "$1: fetch" fetch
	check "$1: status is content" collateral status
	check "$1: admitted" until_true 10 admitted
	"$VCVM" stop "$CVM_TMP/$1" >/dev/null 2>&1
}
launches genoa snp SNP-56 --platform snp --product genoa
others turin --platform snp --product turin --report-version 5
others milan-v2 --platform snp --report-version 2
others vlek --platform snp --endorser vlek
launches processor tdx TDX-75 --platform tdx --pck-ca processor \
    --quote-version 5

# Revocation lists of the CAs that certified the attestation key.
setup ak --platform snp
check "ak: fetch" fetch
check "ak: admitted" until_true 10 admitted
check "ak: no list is asked for that the policy does not want" \
    not grep -q /ak/ "$web/log"
edit etc-ak/policy.json "p['tpm']['ak']['crl'] = 'require'"
check "ak: denied without lists" denied_for TPM-18
check "ak: status names the first" exits 1 "missing   google/ak-issuer.crl" \
    collateral status
check "ak: and the second" exits 1 "missing   google/ak-root.crl" \
    collateral status
check "ak: by https, whatever the certificate says" exits 2 \
    "https://crl.google.test/ak/issuer.crl" collateral fetch \
    --insecure-http --amd-url "$url"
fault 1 429 /ak/issuer.crl
check "ak: the lists are fetched" exits 0 \
    "new         google/ak-issuer.crl" fetch
check "ak: the busy server was asked again" test \
    "$(grep -c "/ak/issuer.crl" "$web/log")" -eq 2
check "ak: resealed" token reseal --pin-file pin
check "ak: admitted by the lists" until_true 10 admitted
check "ak: status is content" exits 0 "EK/AK CA Intermediate" collateral status
check "ak: a list that is the same is left" exits 0 \
    "unchanged   google/ak-root.crl" fetch
for wrong in truncated flipped empty other; do
	check "ak: a list that is $wrong" keeps 1 \
	    "refused     google/ak-issuer.crl" 1 $wrong /ak/issuer.crl
done
check "ak: a redirect" keeps 2 "unreachable google/ak-issuer.crl" \
    1 redirect /ak/issuer.crl
ctl ak set collateral expired >/dev/null
check "ak: an expired list" keeps 1 "refused     google/ak-root.crl" 0 none none
ctl ak reset >/dev/null
forget google/ak-intermediates.pem
check "ak: an issuer that is not there" exits 1 \
    "none that issued the attestation key" collateral status
"$VCVM" stop "$CVM_TMP/ak" >/dev/null 2>&1

# A report and a directory are enough on any machine.
if [ -n "${VECTORS_DIR-}" ]; then
	vendors milan "$CVM_TMP/vlek/collateral"
	report=$VECTORS_DIR/snp/milan-v3-vlek-vmpl1.report.bin
	mkdir elsewhere
	check "a real report: what is missing" exits 1 \
	    "missing   amd/milan/crl-vlek.der" \
	    env CVM_PKCS11_CONF=/nonexistent "$TOKEN" collateral status \
	    --report "$report" \
	    --collateral elsewhere
	check "a real report: a test vendor is refused" exits 1 "public key" \
	    fetch --report "$report" --collateral elsewhere
fi
