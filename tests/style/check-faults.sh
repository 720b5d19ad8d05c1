#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# What allocates, and what the module calls in OpenSSL, SQLite, cJSON and the
# TSS, is made to fail by a unit test (wrapped in tests/unit/meson.build), or
# is listed below as unable to. Looks at the build in $CVM_BUILD, and at the
# list in the tree given.

# shellcheck source=tests/style/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

build=${CVM_BUILD-}
if [ ! -e "$build/module/cvm-pkcs11.so" ]; then
	echo "1..0 # SKIP no module is built: CVM_BUILD names no build of it"
	exit 0
fi

# Functions of the C library that need memory of the heap.
allocating='malloc calloc realloc reallocarray posix_memalign aligned_alloc
strdup strndup asprintf vasprintf __asprintf_chk __vasprintf_chk realpath
getline getdelim open_memstream fopen fdopen fdopendir getaddrinfo mmap mmap64'

# Patterns of names that cannot fail, behind the reason: they release; they say
# again what was said; they read what is there, or a table; they write into
# the caller's own bytes; they set what only a wrong argument would keep them
# from; they run once in a process, which is left without OpenSSL then.
unable='
release *_free *_clear_free CRYPTO_free cJSON_Delete Tss2_TctiLdr_Finalize
the-same sqlite3_close sqlite3_finalize sqlite3_reset sqlite3_clear_bindings
read ASN1_STRING_* BN_cmp BN_is_* BN_num_bits EC_GROUP_get0_order
read EVP_CIPHER_get0_name EVP_PKEY_CTX_get0_pkey EVP_PKEY_CTX_settable_params
read EVP_PKEY_get_base_id EVP_PKEY_get_bits EVP_PKEY_is_a
read X509_get0_serialNumber X509_get_X509_PUBKEY X509_get_issuer_name
read X509_get_subject_name X509_SIG_getm OSSL_PARAM_locate_const cJSON_GetArray*
read cJSON_GetObjectItemCaseSensitive cJSON_Is*
read sqlite3_changes sqlite3_column_bytes sqlite3_column_int*
read sqlite3_column_name sqlite3_column_type sqlite3_db_filename
read sqlite3_db_readonly sqlite3_errcode sqlite3_errmsg sqlite3_errstr
read sqlite3_extended_errcode sqlite3_get_autocommit sqlite3_system_errno
table EC_curve_nist2nid OBJ_txt2nid
place OSSL_PARAM_construct_* BN_bn2bin BN_set_flags CRYPTO_memcmp BIO_ctrl
place OPENSSL_cleanse EVP_CIPHER_CTX_set_flags ERR_*_mark ERR_clear_error
place SHA*_Init SHA*_Update SHA*_Final
setting sqlite3_db_config sqlite3_extended_result_codes sqlite3_limit
once OPENSSL_init_crypto OSSL_LIB_CTX_new OSSL_PROVIDER_load'

tried=$(grep -oE "'[A-Za-z0-9_]+'" tests/unit/meson.build | tr -d "'" | sort -u)

# What the module's objects want from elsewhere, and what is there. (nm looks
# at what is for the optimizer of the whole, which leaves malloc out.)
wanted=$(find "$build"/{base,conf,attest,token,module} -name '*.o' \
    -exec readelf -Ws {} + | awk '$7 == "UND" { print $8 }' | sort -u)
libraries=$(ldd "$build/module/cvm-pkcs11.so" |
    awk '$1 ~ /^lib(crypto|sqlite3|cjson|tss2)/ { print $3 }')
# shellcheck disable=SC2086 # a list of files
offered=$({
	nm -D --defined-only $libraries | awk 'NF == 3 { print $3 }' |
	    sed 's/@.*//'
	printf '%s\n' $allocating
} | sort -u)
called=$(comm -12 <(printf '%s\n' "$wanted") <(printf '%s\n' "$offered"))

is_unable() {
	local reason pattern patterns
	while read -r reason patterns; do
		[ -n "$reason" ] || continue
		for pattern in $patterns; do
			# shellcheck disable=SC2053 # a pattern it is
			[[ $1 == $pattern ]] && return 0
		done
	done <<<"$unable"
	return 1
}

{
	[ "$(wc -w <<<"$libraries")" -ge 4 ] || echo "libraries: $libraries"
	[ "$(wc -l <<<"$called")" -ge 100 ] || echo "calls: few are found"
} | rule "calls of libraries are found"

comm -23 <(printf '%s\n' "$called") <(printf '%s\n' "$tried") |
    while read -r name; do
	is_unable "$name" || echo "$name: never made to fail"
done | rule "what can fail is made to fail"

# A hardened build calls the one of asprintf, others the other.
sed -n '/^injected = \[/,/^\]/p' tests/unit/meson.build |
    grep -oE "'[A-Za-z0-9_]+'" | tr -d "'" | grep -v asprintf | sort |
    comm -23 - <(printf '%s\n' "$called") |
    sed 's/$/: not called by the module/' |
    rule "what is made to fail is called"
done_rules
