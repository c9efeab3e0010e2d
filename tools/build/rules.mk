# SPDX-License-Identifier: Apache-2.0
#
# The rules proper, inside Debian 13. Each folder lists its files in its module.mk, in these lists:
#
#   kernel-y     files of billet.elf (C and S)
#   pure-y       those of them, and of the agent, that also compile on the host for tests
#   agent-y      files of the agent guest
#   billetd-y    files of the controller
#   billetctl-y  files of the CLI
#
# Tests are found by name: tests/unit/**/test_*.c, tests/fuzz/fuzz_*.c, tests/guest/*.c.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

B     := build
CACHE := $(or $(BILLET_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/billet)
Q     := $(if $(V),,@)
VERSION := $(shell git describe --always --dirty --match 'v[0-9]*' 2>/dev/null || echo unknown)

say = $(if $(V),,@printf '  %-8s %s\n' '$(1)' '$(2)';)

WARN := -Wall -Wextra -Wshadow -Wundef -Wmissing-prototypes -Wstrict-prototypes -Wvla \
        $(if $(or $(WERROR),$(CI)),-Werror)

kernel-y :=
pure-y :=
agent-y :=
billetd-y :=
billetctl-y :=

# ---- objects: one pattern a flavour -------------------------------------------------------------

# $(call objects,FLAVOUR,FILES) -> build/FLAVOUR/path/file.o
objects = $(patsubst %,$(B)/$(1)/%.o,$(basename $(2)))

define flavour # NAME CC-variable FLAGS-variable
$(B)/$(1)/%.o: %.c
	$$(call say,CC,$$@)mkdir -p $$(@D) && $$($(2)) $$($(3)) $$(FLAGS_$$(<:.c=)) -MMD -MP -c -o $$@ $$<
$(B)/$(1)/%.o: %.S
	$$(call say,AS,$$@)mkdir -p $$(@D) && $$($(2)) $$($(3)) $$(FLAGS_$$(<:.S=)) -D__ASSEMBLER__ -MMD -MP -c -o $$@ $$<
endef

.PHONY: all run test unit fuzz guest system bench iso layers format clean
all:

include $(sort $(wildcard boot/module.mk kernel/module.mk drivers/module.mk storage/module.mk \
        net/module.mk vmm/module.mk agent/module.mk tools/*/module.mk tests/*/module.mk))

clean:
	rm -rf $(B)

format:
	git ls-files '*.c' '*.h' ':!tools/build/libs' | xargs clang-format -i

layers:
	tools/build/layers

# ---- flavours -----------------------------------------------------------------------------------

HOST_CC  := gcc
HOST_FLAGS := -std=gnu11 -O1 -g -I. -DBILLET_HOST=1 -fno-omit-frame-pointer \
        -fsanitize=address,undefined -fno-sanitize-recover=undefined $(WARN)
FUZZ_CC  := clang
FUZZ_FLAGS := -std=gnu11 -O1 -g -I. -DBILLET_HOST=1 -DBILLET_FUZZ=1 -fsanitize=fuzzer-no-link,address,undefined \
        -fno-sanitize-recover=undefined $(WARN)
KERNEL_CC := gcc
KERNEL_FLAGS := -std=gnu11 -O2 -g -I. -ffreestanding -nostdinc -isystem $(shell gcc -print-file-name=include) \
        -m64 -march=x86-64 -mgeneral-regs-only -mno-red-zone -mcmodel=kernel -fno-pic -fno-pie \
        -fstack-protector-strong -mstack-protector-guard=global -fno-omit-frame-pointer \
        -fno-strict-aliasing -fno-asynchronous-unwind-tables -fcf-protection=none \
        -DBILLET_VERSION='"$(VERSION)"' $(WARN)
TOOL_CC := gcc
TOOL_FLAGS := -std=gnu11 -O2 -g -I. -fstack-protector-strong -D_FORTIFY_SOURCE=2 -D_GNU_SOURCE \
        -DBILLET_VERSION='"$(VERSION)"' $(WARN)

$(eval $(call flavour,kernel,KERNEL_CC,KERNEL_FLAGS))
$(eval $(call flavour,host,HOST_CC,HOST_FLAGS))
$(eval $(call flavour,fuzz,FUZZ_CC,FUZZ_FLAGS))
$(eval $(call flavour,tool,TOOL_CC,TOOL_FLAGS))

# What says the version is compiled anew when that has changed.
says-version := $(call objects,kernel,boot/main.c boot/version_note.S kernel/panic.c vmm/node_info.c) \
        $(call objects,tool,$(shell grep -ls BILLET_VERSION tools/cli/*.c tools/controller/*.c))
.PHONY: look-at-version
$(B)/version: look-at-version
	@mkdir -p $(@D); echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@
$(says-version): $(B)/version

# ---- the kernel ---------------------------------------------------------------------------------

$(B)/billet.elf: $(call objects,kernel,$(kernel-y)) boot/billet.lds tools/build/ksyms
	$(call say,LD,$@)tools/build/link-kernel $@ boot/billet.lds $(filter %.o,$^)

all: $(B)/billet.elf

# ---- controller and CLI -------------------------------------------------------------------------

ifneq ($(billetd-y),)
BILLETD_LIBS := -levent_openssl -levent_core -levent_extra -lssl -lcrypto -lsqlite3 -lyyjson
$(B)/billetd: $(call objects,tool,$(billetd-y))
	$(call say,LD,$@)$(TOOL_CC) -o $@ $^ $(BILLETD_LIBS)
all: $(B)/billetd
endif
ifneq ($(billetctl-y),)
BILLETCTL_LIBS := -lcurl -lyyjson -lcrypto
$(B)/billetctl: $(call objects,tool,$(billetctl-y))
	$(call say,LD,$@)$(TOOL_CC) -o $@ $^ $(BILLETCTL_LIBS)
all: $(B)/billetctl
endif

# ---- unit tests and fuzzers ---------------------------------------------------------------------

unit-src := $(shell find tests/unit -name 'test_*.c' 2>/dev/null | sort)
unit-support := $(wildcard tests/unit/support/*.c)
unit-bin := $(patsubst tests/unit/%.c,$(B)/unit/%,$(unit-src))
fuzz-src := $(sort $(wildcard tests/fuzz/fuzz_*.c))
fuzz-bin := $(patsubst tests/fuzz/%.c,$(B)/fuzzers/%,$(fuzz-src))
HOST_LIBS := -lcmocka -lyyjson -lllhttp -lmbedx509 -lmbedcrypto -lsqlite3 -lcrypto

$(B)/host/libpure.a: $(call objects,host,$(pure-y) $(unit-support))
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^
$(B)/fuzz/libpure.a: $(call objects,fuzz,$(pure-y) $(unit-support))
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^
$(unit-bin): $(B)/unit/%: $(B)/host/tests/unit/%.o $(B)/host/libpure.a
	$(call say,LD,$@)mkdir -p $(@D) && $(HOST_CC) -fsanitize=address,undefined -o $@ $^ $(HOST_LIBS)
$(fuzz-bin): $(B)/fuzzers/%: $(B)/fuzz/tests/fuzz/%.o $(B)/fuzz/libpure.a
	$(call say,LD,$@)mkdir -p $(@D) && $(FUZZ_CC) -fsanitize=fuzzer,address,undefined -o $@ $^ $(filter-out -lcmocka,$(HOST_LIBS))

unit: $(unit-bin)
	tests/run-unit $^
fuzz: $(fuzz-bin)
	tests/run-fuzz $^

-include $(shell find $(B) -name '*.d' -type f 2>/dev/null)
