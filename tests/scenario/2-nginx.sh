#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# nginx serves TLS with the token's keys in three ways, and reloads under load
# without one failed handshake.

. "$(dirname "$(readlink -f "$0")")/lib.sh"
. "$(dirname "$(readlink -f "$0")")/nginx.sh"

machine snp
configure snp
enroll snp
make_token
make_keys
certificates

for way in direct proxy server; do
	[ $way = direct ] && NGINX_WORKERS=8 || NGINX_WORKERS=2
	export NGINX_WORKERS
	"way_$way"
	check "$way: nginx starts" nginx_start "$way"
	for v in 1.2 1.3; do
		check "$way: RSA over TLS $v" handshake rsa "$v"
		check "$way: ECDSA over TLS $v" handshake ec "$v"
	done
	check "$way: 50 reloads under load lose no handshake" reloads 50
	check "$way: nginx stops" nginx_stop
	check "$way: 51 generations of workers, nothing above notice" \
	    uneventful 51
	way_end
done
