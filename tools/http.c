/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/build.h"
#include "tools/http.h"

#define CONNECT_SECONDS 15L
#define REQUEST_SECONDS 60L
#define DEADLINE_SECONDS 180 /* all attempts and waits of one request */
#define ATTEMPTS_MAX 6
#define WAIT_FIRST 2
#define WAIT_MAX 60
#define HEADERS_MAX (64 * 1024) /* of one answer */
#define STATUS_OK 200L
#define TOO_MANY_REQUESTS 429L
#define SERVICE_UNAVAILABLE 503L

struct http {
	CURL *curl;
	bool insecure;
};

/* What one answer is collected into. */
struct sink {
	struct http_answer a;
	size_t max, headers;
	const char *header;
	bool too_large, no_memory;
};

void
http_answer_clear(struct http_answer *a)
{
	blob_clear(&a->body);
	blob_clear(&a->header);
	a->status = 0;
}

static void
sink_clear(struct sink *s)
{
	http_answer_clear(&s->a);
}

void
http_freep(struct http **h)
{
	if (h == NULL || *h == NULL)
		return;
	if ((*h)->curl != NULL)
		curl_easy_cleanup((*h)->curl);
	curl_global_cleanup();
	free(*h);
	*h = NULL;
}

static size_t
take_body(char *data, size_t size, size_t n, void *arg)
{
	struct sink *s = arg;
	size_t len = size * n;

	if (len > s->max - s->a.body.len) {
		s->too_large = true;
		return 0;
	}
	if (len > 0 && blob_append(&s->a.body, span(data, len)) < 0) {
		s->no_memory = true;
		return 0;
	}
	return len;
}

/* "Name: value\r\n"; a line for each, and one for the status. */
static size_t
take_header(char *data, size_t size, size_t n, void *arg)
{
	struct sink *s = arg;
	size_t len = size * n, name;

	if (len > HEADERS_MAX - s->headers) {
		s->too_large = true;
		return 0;
	}
	s->headers += len;
	name = s->header != NULL ? strlen(s->header) : 0;
	if (name == 0 || len <= name || data[name] != ':' ||
	    strncasecmp(data, s->header, name) != 0)
		return len;
	for (name++; name < len && data[name] == ' ';)
		name++;
	size_t end = len;

	while (end > name && (data[end - 1] == '\n' || data[end - 1] == '\r'))
		end--;
	if (blob_set(&s->a.header, span(data + name, end - name)) < 0) {
		s->no_memory = true;
		return 0;
	}
	return len;
}

/* What does not change from one request to the next. */
static bool
set_up(CURL *c, bool insecure)
{
	const char *protocols = insecure ? "https,http" : "https";

	return curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, protocols) ==
	    CURLE_OK &&
	    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
	    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS) ==
	    CURLE_OK &&
	    curl_easy_setopt(c, CURLOPT_TIMEOUT, REQUEST_SECONDS) == CURLE_OK &&
	    curl_easy_setopt(c, CURLOPT_USERAGENT, "cvm-token/" CVM_VERSION) ==
	    CURLE_OK &&
	    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
	    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header) ==
	    CURLE_OK;
}

int
http_new(bool insecure, struct http **ret, struct why *reterr_why)
{
	struct http *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return CVM_E_NOMEM;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(h);
		return why_set(reterr_why, CVM_E_INTERNAL, "libcurl", "",
		    "one that starts", "a failure");
	}
	h->insecure = insecure;
	h->curl = curl_easy_init();
	if (h->curl == NULL || !set_up(h->curl, insecure)) {
		http_freep(&h);
		return why_set(reterr_why, CVM_E_INTERNAL, "libcurl", "",
		    "the options that are needed", "another version");
	}
	*ret = h;
	return CVM_OK;
}

static int
one_attempt(struct http *h, const char *url, struct sink *s, struct why *why)
{
	char text[CURL_ERROR_SIZE] = "";
	CURLcode rc;

	http_answer_clear(&s->a);
	s->headers = 0;
	s->too_large = false;
	if (curl_easy_setopt(h->curl, CURLOPT_URL, url) != CURLE_OK ||
	    curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, s) != CURLE_OK ||
	    curl_easy_setopt(h->curl, CURLOPT_HEADERDATA, s) != CURLE_OK ||
	    curl_easy_setopt(h->curl, CURLOPT_ERRORBUFFER, text) != CURLE_OK)
		return CVM_E_NOMEM;
	rc = curl_easy_perform(h->curl);
	(void)curl_easy_setopt(h->curl, CURLOPT_ERRORBUFFER, NULL);
	(void)curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &s->a.status);
	if (s->no_memory || rc == CURLE_OUT_OF_MEMORY)
		return CVM_E_NOMEM;
	/* What an answer of another status says is not read. */
	if (s->too_large && s->a.status != STATUS_OK)
		return CVM_OK;
	if (s->too_large)
		return why_setf(why, CVM_E_PARSE, url, "answer",
		    "a smaller one", "more than %zu bytes", s->max);
	if (rc == CURLE_OK)
		return CVM_OK;
	return why_set(why, CVM_E_UNREACHABLE, url, "", "an answer",
	    text[0] != '\0' ? text : curl_easy_strerror(rc));
}

/* Seconds that the server asks to wait for, else those of the back-off. */
static long
wait_seconds(struct http *h, long backoff)
{
	curl_off_t after = 0;

	if (curl_easy_getinfo(h->curl, CURLINFO_RETRY_AFTER, &after) !=
		CURLE_OK ||
	    after <= 0)
		return backoff;
	return after > WAIT_MAX ? WAIT_MAX : (long)after;
}

static int64_t
monotonic_seconds(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec;
}

static void
sleep_seconds(long seconds)
{
	struct timespec t = { .tv_sec = seconds };

	while (nanosleep(&t, &t) != 0)
		;
}

static int
attempts(struct http *h, const char *url, struct sink *s, struct why *why)
{
	int64_t deadline = monotonic_seconds() + DEADLINE_SECONDS;
	long backoff = WAIT_FIRST, wait;
	int r;

	for (int i = 1;; i++) {
		r = one_attempt(h, url, s, why);
		if (r < 0 ||
		    (s->a.status != TOO_MANY_REQUESTS &&
			s->a.status != SERVICE_UNAVAILABLE))
			return r;
		wait = wait_seconds(h, backoff);
		if (i == ATTEMPTS_MAX || monotonic_seconds() + wait > deadline)
			return r;
		sleep_seconds(wait);
		backoff *= 2;
	}
}

int
http_get(struct http *h, const char *url, size_t max, const char *header,
    struct http_answer *ret, struct why *reterr_why)
{
	_cleanup_(sink_clear) struct sink s = { .max = max, .header = header };
	int r;

	if (strncmp(url, "https://", 8) != 0 &&
	    (!h->insecure || strncmp(url, "http://", 7) != 0))
		return why_set(reterr_why, CVM_E_INVAL, url, "URL",
		    "https://...", "another scheme");
	r = attempts(h, url, &s, reterr_why);
	if (r < 0)
		return r;
	if (s.a.status != STATUS_OK)
		return why_setf(reterr_why, CVM_E_UNREACHABLE, url, "status",
		    "200", "%ld", s.a.status);
	if (s.a.body.len == 0)
		return why_set(reterr_why, CVM_E_PARSE, url, "answer",
		    "some bytes", "none");
	*ret = s.a;
	memset(&s.a, 0, sizeof(s.a));
	return CVM_OK;
}

int
percent_decode(struct span s, struct blob *ret)
{
	_cleanup_(blob_clear) struct blob out = { 0 };

	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.data[i];
		char hex[3] = "";

		if (c == '%') {
			if (s.len - i < 3)
				return CVM_E_PARSE;
			memcpy(hex, &s.data[i + 1], 2);
			if (hex_decode(hex, &c, 1) < 0)
				return CVM_E_PARSE;
			i += 2;
		}
		if (blob_append(&out, span(&c, 1)) < 0)
			return CVM_E_NOMEM;
	}
	*ret = out;
	out = (struct blob){ 0 };
	return CVM_OK;
}
