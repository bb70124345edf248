# One Makefile for everything: `make help` lists the targets, CONTRIBUTING.md tells where things live.
#
# Objects go to build/MODE (build/MODE-clang with CC=clang); build/PROGRAM is a link to the last one built.

VERSION := 0.1.0
# Where to turn to, for the services that we ask (User-Agent), as several of them want it: an address or a page. Empty: left out.
CONTACT ?=
MODE    ?= debug
ifeq ($(origin CC),default)
CC := gcc
endif
B := build/$(MODE)$(if $(findstring clang,$(CC)),-clang)

prefix     ?= /usr/local
bindir     ?= $(prefix)/bin
sbindir    ?= $(prefix)/sbin
libexecdir ?= $(prefix)/libexec
mandir     ?= $(prefix)/share/man
docdir     ?= $(prefix)/share/doc/tunnel

PROGRAMS := tunnel-relay tunnel-agent tunnelctl tunnel-lane
PKGS     := libuv inih jansson libssl libcrypto libssh2 libnghttp2 libcurl

WARN := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes \
        -Wpointer-arith -Wvla -Wformat=2 -Wundef -Wwrite-strings -Wimplicit-fallthrough
# 64 bits for sizes and times on a 32-bit machine too: log files beyond 2 GiB, certificates that end after 2038. Its libraries
# may have been built with 32, so no function of theirs that takes or gives a time_t or an off_t is called (lint looks).
ALL_CFLAGS = -std=gnu11 -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -DTUNNEL_LIBEXEC='"$(libexecdir)"' -DTUNNEL_VERSION='"$(VERSION)"' -DTUNNEL_CONTACT='"$(if $(CONTACT), (+$(CONTACT)))"' $(WARN) $(PKG_CFLAGS) $(CFLAGS) $(CFLAGS_$(MODE))
ALL_LDFLAGS = -Wl,--as-needed $(LDFLAGS) $(LDFLAGS_$(MODE))

CFLAGS_debug := -Og -g3 -Werror
CFLAGS_asan  := -O1 -g -Werror -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LDFLAGS_asan := -fsanitize=address,undefined
CFLAGS_tsan  := -O1 -g -Werror -fno-omit-frame-pointer -fsanitize=thread
LDFLAGS_tsan := -fsanitize=thread
CFLAGS_release  = -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fPIE $(CF_PROTECTION)
LDFLAGS_release := -pie -Wl,-z,relro,-z,now
CFLAGS_fuzz  := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LDFLAGS_fuzz := -fsanitize=fuzzer,address,undefined
ifeq ($(MODE),release)
CF_PROTECTION := $(if $(findstring x86_64,$(shell $(CC) -dumpmachine)),-fcf-protection -fstack-clash-protection)
endif
ifeq ($(filter $(MODE),debug asan tsan release fuzz),)
$(error MODE=$(MODE) is not one of debug, asan, tsan, release)
endif

# Nothing is asked of pkg-config for targets that compile nothing.
NO_BUILD := clean help uninstall test check demo bench fuzz nightly deb cross-try container
ifneq ($(if $(MAKECMDGOALS),$(filter-out $(NO_BUILD),$(MAKECMDGOALS)),all),)
ifneq ($(shell pkg-config --exists $(PKGS) && echo yes),yes)
$(error a library is missing: one of $(PKGS). Run 'sh scripts/setup build' to see and install what is needed)
endif
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS))
# shared/http/libcurl.c loads that one itself; libatomic is for ARMv6 (Pi 1, Zero), whose processor has no atomics of 64 bits.
PKG_LIBS   := $(shell pkg-config --libs $(filter-out libcurl,$(PKGS))) -latomic
# Passwords of visitors, in librelay.a: a part of the C library in Debian.
RELAY_LIBS := -lcrypt
endif

SRC        := $(shell find relay agent shared tests -name '*.c')
SHARED_SRC := $(filter-out shared/ctl/%,$(filter shared/%,$(SRC)))
CTL_SRC    := $(filter shared/ctl/%,$(SRC))
RELAY_SRC  := $(filter-out relay/tunnel-lane.c,$(filter relay/%,$(SRC)))
AGENT_SRC  := $(filter agent/%,$(SRC))
objects     = $(patsubst %.c,$(B)/%.o,$(filter-out %/main.c,$(1)))

UNIT_SRC  := $(filter tests/unit/%_test.c,$(SRC))
UNIT_BIN  := $(UNIT_SRC:%.c=$(B)/%)
FUZZ_SRC  := $(filter tests/fuzz/%_fuzz.c,$(SRC))
REPLAY_BIN := $(FUZZ_SRC:%.c=$(B)/%_replay)
TOOLS     := linesim echosite laneload bulksite tlsload dnscall acmecall

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all unit-bin unit test check lint gen fuzz fuzz-bin bench demo nightly deb cross-try container install uninstall clean help FORCE

all: $(PROGRAMS:%=$(B)/%) $(TOOLS:%=$(B)/%) ## build the programs (MODE=debug|asan|tsan|release, CC=gcc|clang)
	@for p in $(PROGRAMS) $(TOOLS); do ln -sfn "$(B:build/%=%)/$$p" "build/$$p"; done

$(B)/libshared.a: $(call objects,$(SHARED_SRC))
$(B)/libctl.a:    $(call objects,$(CTL_SRC))
$(B)/librelay.a:  $(call objects,$(RELAY_SRC))
$(B)/libagent.a:  $(call objects,$(AGENT_SRC))
$(B)/lib%.a:
	@rm -f $@
	@$(AR) rcs $@ $^

# Compiler, mode and flags are part of what an object depends on.
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(PKG_LIBS))' | cmp -s - $@ || \
		printf '%s\n' '$(subst ','\'',$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(PKG_LIBS))' > $@

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	@echo "  CC $(MODE) $<"
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The assembler puts these into the program; the compiler, which knows of headers alone, does not tell of them.
$(B)/shared/page/asset.o: shared/page/page.css shared/page/page.js

link = @echo "  LD $(MODE) $(notdir $@)"; mkdir -p $(@D); $(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o %.a,$^) $(PKG_LIBS) $(1)

$(B)/tunnel-relay: $(B)/relay/main.o $(B)/librelay.a $(B)/libshared.a
	$(call link,$(RELAY_LIBS))
$(B)/tunnel-agent: $(B)/agent/main.o $(B)/libagent.a $(B)/libshared.a
	$(call link)
$(B)/tunnel-lane: $(B)/relay/tunnel-lane.o $(B)/relay/lanes/key_line.o $(B)/libshared.a
	$(call link)
$(B)/tunnelctl: $(B)/shared/ctl/main.o $(B)/libctl.a $(B)/libshared.a
	$(call link)
$(B)/linesim: $(patsubst %.c,$(B)/%.o,$(filter tests/linesim/%,$(SRC))) $(B)/libshared.a
	$(call link)
$(B)/echosite: $(B)/tests/echosite/main.o $(B)/libshared.a
	$(call link)
$(B)/dnscall: $(B)/tests/dnscall/main.o $(B)/libshared.a
	$(call link)
$(B)/acmecall: $(B)/tests/acmecall/main.o $(B)/librelay.a $(B)/libshared.a
	$(call link,$(RELAY_LIBS))
$(B)/laneload $(B)/bulksite $(B)/tlsload: $(B)/%: $(B)/tests/bench/%.o $(B)/tests/bench/pattern.o $(B)/libshared.a
	$(call link)

# A unit test links its own side and what both sides share, never the other side.
$(B)/tests/unit/relay/%_test: $(B)/tests/unit/relay/%_test.o $(B)/librelay.a $(B)/libshared.a
	$(call link,-lcmocka $(RELAY_LIBS))
$(B)/tests/unit/agent/%_test: $(B)/tests/unit/agent/%_test.o $(B)/libagent.a $(B)/libshared.a
	$(call link,-lcmocka)
$(B)/tests/unit/shared/ctl/%_test: $(B)/tests/unit/shared/ctl/%_test.o $(B)/libctl.a $(B)/libshared.a
	$(call link,-lcmocka)
$(B)/tests/unit/shared/%_test: $(B)/tests/unit/shared/%_test.o $(B)/libshared.a
	$(call link,-lcmocka)

# A fuzz target is also a unit test: without an engine it replays the saved inputs.
$(B)/tests/fuzz/%_fuzz_replay: $(B)/tests/fuzz/%_fuzz.o $(B)/tests/fuzz/replay.o $(B)/librelay.a $(B)/libshared.a
	$(call link,$(RELAY_LIBS))
$(B)/tests/fuzz/%_fuzz: $(B)/tests/fuzz/%_fuzz.o $(B)/librelay.a $(B)/libshared.a
	$(call link,$(RELAY_LIBS))

# What routers, services and programs say of the house's address is read by the agent.
$(B)/tests/fuzz/address_fuzz_replay: $(B)/tests/fuzz/address_fuzz.o $(B)/tests/fuzz/replay.o $(B)/libagent.a $(B)/libshared.a
	$(call link)
$(B)/tests/fuzz/address_fuzz: $(B)/tests/fuzz/address_fuzz.o $(B)/libagent.a $(B)/libshared.a
	$(call link)

unit-bin: $(UNIT_BIN) $(REPLAY_BIN)
fuzz-bin: $(FUZZ_SRC:%.c=$(B)/%)

unit: all unit-bin ## unit tests and saved fuzz inputs (seconds)
	@sh scripts/unit $(B)

test: ## set up what is missing, build, and run every test
	@sh scripts/test --mode $(MODE) $(ARGS)

check: ## everything in `test` again under ASan and UBSan, then lint
	@sh scripts/test --mode asan
	@$(MAKE) --no-print-directory lint

lint: all ## format, static analysis, size, include and documentation rules, generated files
	@sh scripts/lint

gen: all ## write the files that are made from the option tables
	@sh scripts/gen $(ARGS)

FUZZ_SECONDS ?= 60
fuzz: ## run every fuzz target for FUZZ_SECONDS=60 each
	@sh scripts/fuzz $(FUZZ_SECONDS) $(ARGS)

bench: ## measure, and compare with the last accepted run
	@sh scripts/bench $(ARGS)

demo: ## build and start everything on loopback, and say what to look at
	@sh scripts/demo $(ARGS)

deb: ## Debian packages in build/deb (ARCH=amd64, arm64 or armhf)
	@sh scripts/deb $(ARCH)

cross-try: ## packages for ARCH=arm64 or armhf, then unit tests and the demo under qemu-user (as root)
	@sh scripts/cross --try $(ARCH)

container: ## container images of relay and agent, by podman or docker
	@sh scripts/container $(ARGS)

nightly: ## what takes too long for every change: clang, TSan, valgrind, Debian 13, long fuzzing
	@sh scripts/nightly

MAN8 := tunnel-relay.8 tunnel-agent.8 tunnel-lane.8
MAN7 := tunnel-recipes.7
MAN5 := relay.ini.5 agent.ini.5 tunnel-certs.5
MAN1 := tunnelctl.1

install: all ## install programs, manuals and sample files (DESTDIR= prefix=/usr/local; use MODE=release)
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(sbindir) $(DESTDIR)$(libexecdir) $(DESTDIR)$(docdir)/examples
	install -d $(DESTDIR)$(mandir)/man1 $(DESTDIR)$(mandir)/man5 $(DESTDIR)$(mandir)/man7 $(DESTDIR)$(mandir)/man8
	install -m 755 $(B)/tunnel-relay $(B)/tunnel-agent $(DESTDIR)$(sbindir)
	install -m 755 $(B)/tunnelctl $(DESTDIR)$(bindir)
	install -m 755 $(B)/tunnel-lane $(DESTDIR)$(libexecdir)
	install -d $(DESTDIR)$(docdir)/sshd
	install -m 755 conf/sshd/sshd-drop-in $(DESTDIR)$(docdir)/sshd
	install -m 644 conf/sshd/tunnel.conf.in $(DESTDIR)$(docdir)/sshd
	install -m 644 $(MAN1:%=conf/man/%) $(DESTDIR)$(mandir)/man1
	install -m 644 $(MAN5:%=conf/man/%) $(DESTDIR)$(mandir)/man5
	install -m 644 $(MAN7:%=conf/man/%) $(DESTDIR)$(mandir)/man7
	install -m 644 $(MAN8:%=conf/man/%) $(DESTDIR)$(mandir)/man8
	install -D -m 644 conf/completions/tunnelctl.bash $(DESTDIR)$(prefix)/share/bash-completion/completions/tunnelctl
	install -D -m 644 conf/completions/_tunnelctl $(DESTDIR)$(prefix)/share/zsh/site-functions/_tunnelctl
	install -m 644 conf/relay.ini conf/agent.ini conf/prometheus/tunnel.rules.yml conf/grafana/tunnel.json $(DESTDIR)$(docdir)/examples
	install -m 644 README.md CHANGELOG.md LICENSE $(DESTDIR)$(docdir)

uninstall: ## remove what install put there (configuration and state stay)
	rm -f $(DESTDIR)$(sbindir)/tunnel-relay $(DESTDIR)$(sbindir)/tunnel-agent $(DESTDIR)$(bindir)/tunnelctl $(DESTDIR)$(libexecdir)/tunnel-lane
	rm -f $(MAN1:%=$(DESTDIR)$(mandir)/man1/%) $(MAN5:%=$(DESTDIR)$(mandir)/man5/%) $(MAN7:%=$(DESTDIR)$(mandir)/man7/%) $(MAN8:%=$(DESTDIR)$(mandir)/man8/%)
	rm -f $(DESTDIR)$(prefix)/share/bash-completion/completions/tunnelctl $(DESTDIR)$(prefix)/share/zsh/site-functions/_tunnelctl
	rm -rf $(DESTDIR)$(docdir)

clean: ## remove build/
	rm -rf build

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

-include $(shell find $(B) -name '*.d' 2>/dev/null)
