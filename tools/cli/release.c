/* SPDX-License-Identifier: Apache-2.0 */
/*
 * billetctl release: images of the nodes' own software. Whoever holds the release key decides what
 * nodes run; the controller only stores and hands out. So the manifest is signed here, and each
 * node's kernel checks it with the public key that its boot disk was made with.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/cli/api.h"
#include "tools/cli/commands.h"
#include "tools/cli/die.h"
#include "tools/cli/file.h"
#include "tools/cli/release.h"
#include "tools/cli/units.h"
#include "tools/cli/upload.h"
#include "vmm/control_abi.h"

#define SIGNED_BYTES offsetof(struct ctl_update_manifest, signature)
#define NUMBER_BYTES 32 /* r, s, and a coordinate on P-256 */
#define NOTES_MAX    65536u
#define NOTE_VERSION 1u
#define NAME_CHARS   63u

static const struct column list_columns[] = {
	{"NAME", "name", COLUMN_TEXT},	    {"VERSION", "version", COLUMN_TEXT},
	{"ID", "id", COLUMN_TEXT},	    {"SIZE", "size", COLUMN_BYTES},
	{"STATE", "state", COLUMN_TEXT},    {"MADE", "created_at", COLUMN_AGO},
	{"SHA-256", "sha256", COLUMN_TEXT}, {0},
};

static const struct column fields[] = {
	{"name", "name", COLUMN_TEXT},
	{"version", "version", COLUMN_TEXT},
	{"id", "id", COLUMN_TEXT},
	{"size", "size", COLUMN_BYTES},
	{"SHA-256", "sha256", COLUMN_TEXT},
	{"signature", "signature", COLUMN_TEXT},
	{"state", "state", COLUMN_TEXT},
	{"uploaded", "uploaded", COLUMN_BYTES},
	{"made", "created_at", COLUMN_TEXT},
	{"ready", "ready_at", COLUMN_TEXT},
	{0},
};

/* ---- keys ----------------------------------------------------------------------------------- */

static bool is_p256(EVP_PKEY *key)
{
	char group[64] = "";

	return EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group),
					      NULL) == 1 &&
	       strcmp(group, "prime256v1") == 0;
}

static FILE *open_key(const char *path)
{
	FILE *f = fopen(path, "re");

	if (!f)
		die(EXIT_REFUSED, "cannot open %s: %s", path, strerror(errno));
	return f;
}

static EVP_PKEY *read_private_key(const char *path)
{
	FILE *f = open_key(path);
	EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);

	fclose(f);
	if (!key || !is_p256(key))
		die(EXIT_REFUSED,
		    "%s holds no private key on P-256; 'billetctl release keygen' makes one", path);
	return key;
}

static char *public_text(EVP_PKEY *key)
{
	uint8_t point[1 + 2 * NUMBER_BYTES];
	size_t len = 0;
	char *text = xalloc(2 * sizeof(point) + 1);

	if (EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
					   "uncompressed") != 1 ||
	    EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point),
					    &len) != 1 ||
	    len != sizeof(point))
		die(EXIT_REFUSED, "the public key cannot be had from the key");
	return units_hex(point, sizeof(point), text);
}

char *release_public_key(const char *path)
{
	FILE *f = open_key(path);
	EVP_PKEY *key = PEM_read_PUBKEY(f, NULL, NULL, NULL);
	char *text;

	if (!key) {
		rewind(f);
		key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	}
	fclose(f);
	if (!key || !is_p256(key))
		die(EXIT_REFUSED, "%s holds no key on P-256 (PEM, public or private)", path);
	text = public_text(key);
	EVP_PKEY_free(key);
	return text;
}

void release_keygen(const struct args *args)
{
	const char *path = args->operands[0];
	EVP_PKEY *key = EVP_EC_gen("P-256");
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	char *text;

	if (!f)
		die(EXIT_REFUSED, "cannot make %s: %s", path, strerror(errno));
	if (!key || !PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) || fflush(f) != 0 ||
	    fsync(fd) != 0)
		die(EXIT_REFUSED, "the key could not be written to %s", path);
	fclose(f);
	text = public_text(key);
	note("the key is in %s: keep it where neither the controller nor a node can reach it.\n"
	     "Its public half, for 'billetctl node install-media --update-key':",
	     path);
	puts(text);
	free(text);
	EVP_PKEY_free(key);
}

void release_pubkey(const struct args *args)
{
	char *text = release_public_key(args->operands[0]);

	puts(text);
	free(text);
}

/* ---- signing -------------------------------------------------------------------------------- */

static void put_number(const BIGNUM *number, uint8_t *out)
{
	if (BN_bn2binpad(number, out, NUMBER_BYTES) != NUMBER_BYTES)
		die(EXIT_REFUSED, "the signature is of another curve");
}

static void sign(EVP_PKEY *key, struct ctl_update_manifest *m)
{
	uint8_t der[128];
	const uint8_t *at = der;
	size_t len = sizeof(der);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	ECDSA_SIG *signature = NULL;

	if (context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
	    EVP_DigestSign(context, der, &len, (const uint8_t *)m, SIGNED_BYTES) == 1)
		signature = d2i_ECDSA_SIG(NULL, &at, (long)len);
	if (!signature)
		die(EXIT_REFUSED, "the release cannot be signed with this key");
	put_number(ECDSA_SIG_get0_r(signature), m->signature);
	put_number(ECDSA_SIG_get0_s(signature), m->signature + NUMBER_BYTES);
	ECDSA_SIG_free(signature);
	EVP_MD_CTX_free(context);
}

static char *sign_text(EVP_PKEY *key, const struct upload_file *f, const char *version)
{
	struct ctl_update_manifest m = {.size = f->size};
	char *text = xalloc(2 * sizeof(m.signature) + 1);

	memcpy(m.magic, CTL_UPDATE_MAGIC, sizeof(m.magic));
	memcpy(m.version, version, strlen(version));
	for (size_t i = 0; i < sizeof(m.sha256); i++)
		sscanf(f->sha256 + 2 * i, "%2hhx", &m.sha256[i]);
	sign(key, &m);
	return units_hex(m.signature, sizeof(m.signature), text);
}

/* ---- the version, as boot/version_note.S has it in the image -------------------------------- */

static size_t round_up_4(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

/* Looks for the note in a segment's bytes; NULL when it is not there. Gives. */
static char *find_version(const uint8_t *bytes, size_t len)
{
	Elf64_Nhdr note_head;
	size_t name, desc;

	while (len >= sizeof(note_head)) {
		memcpy(&note_head, bytes, sizeof(note_head));
		name = sizeof(note_head);
		desc = name + round_up_4(note_head.n_namesz);
		if (note_head.n_namesz > len || note_head.n_descsz > len ||
		    desc + round_up_4(note_head.n_descsz) > len)
			return NULL;
		if (note_head.n_type == NOTE_VERSION && note_head.n_namesz == sizeof("Billet") &&
		    memcmp(bytes + name, "Billet", sizeof("Billet")) == 0)
			return strndup((const char *)bytes + desc, note_head.n_descsz);
		bytes += desc + round_up_4(note_head.n_descsz);
		len -= desc + round_up_4(note_head.n_descsz);
	}
	return NULL;
}

static char *read_notes(const struct upload_file *f, const Elf64_Phdr *segment)
{
	uint8_t *bytes;
	char *version;

	if (segment->p_filesz > NOTES_MAX)
		return NULL;
	bytes = xalloc(segment->p_filesz + 1);
	version = find_version(
		bytes, file_read_at(f->fd, f->path, bytes, segment->p_filesz, segment->p_offset));
	free(bytes);
	return version;
}

static char *version_of(const struct upload_file *f)
{
	Elf64_Ehdr head = {0};
	Elf64_Phdr segment;
	char *version = NULL;

	if (file_read_at(f->fd, f->path, &head, sizeof(head), 0) != sizeof(head) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_phentsize != sizeof(segment))
		die(EXIT_REFUSED, "%s is no billet.elf", f->path);
	for (unsigned int i = 0; i < head.e_phnum && !version; i++)
		if (file_read_at(f->fd, f->path, &segment, sizeof(segment),
				 head.e_phoff + i * sizeof(segment)) == sizeof(segment) &&
		    segment.p_type == PT_NOTE)
			version = read_notes(f, &segment);
	if (!version || !version[0] ||
	    strlen(version) >= sizeof(((struct ctl_update_manifest *)NULL)->version))
		die(EXIT_REFUSED, "%s does not say which version of Billet it is", f->path);
	return version;
}

/* A version as a name: what names cannot have becomes a dash. Gives. */
static char *name_of(const char *version)
{
	char *name = xalloc(NAME_CHARS + 1);
	size_t len = 0;

	for (; *version && len < NAME_CHARS; version++) {
		char c = *version >= 'A' && *version <= 'Z' ? (char)(*version + 32) : *version;
		bool is_good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (is_good || (len > 0 && name[len - 1] != '-'))
			name[len++] = is_good ? c : '-';
	}
	while (len > 0 && name[len - 1] == '-')
		name[--len] = 0;
	return name;
}

/* ---- commands ------------------------------------------------------------------------------- */

void release_upload(const struct args *args)
{
	EVP_PKEY *key = read_private_key(args->values[OPT_KEY]);
	struct upload_file f;
	char *version, *name, *signature;

	upload_open(&f, args->operands[0]);
	f.kind = "release";
	version = version_of(&f);
	name = args->values[OPT_NAME] ? xformat("%s", args->values[OPT_NAME]) : name_of(version);
	signature = sign_text(key, &f, version);
	api_done(args,
		 upload_image(&f, name,
			      (const struct upload_extra[]){
				      {"version", version}, {"signature", signature}, {0}}),
		 "release '%s' is ready: version %s, %" PRIu64 " bytes, SHA-256 %s", name, version,
		 f.size, f.sha256);
	close(f.fd);
	EVP_PKEY_free(key);
	free(version);
	free(name);
	free(signature);
}

void release_ls(const struct args *args)
{
	api_show_list(args, api_list("/v1/images?kind=release", 0), list_columns);
}

void release_show(const struct args *args)
{
	api_show_one(args, api_call("GET", api_path("/v1/images/%s", args->operands[0]), NULL),
		     fields);
}

void release_rm(const struct args *args)
{
	for (int i = 0; i < args->nr_operands; i++) {
		yyjson_doc_free(
			api_call("DELETE", api_path("/v1/images/%s", args->operands[i]), NULL));
		api_done(args, NULL, "release '%s' is deleted", args->operands[i]);
	}
}
