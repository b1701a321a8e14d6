#!/usr/bin/env bash
# Installs what building Cairn needs and is missing, without asking. Safe to run again: when nothing is
# missing it takes about a second and changes nothing.
#
# Needed: a C and a C++ compiler, make, perl, pkg-config, protoc, python3, Rust, and the Rust target wasm32v1-none
# for the runtime. With rustup online the target is one command. Where rustup cannot download, Debian's
# rustc-web has the sources of a matching standard library, from which core and alloc are built (half a
# minute). What the build has to know afterwards is written to $CAIRN_CACHE/env, which the Makefile reads.
set -euo pipefail

CACHE=${CAIRN_CACHE:-$HOME/.cache/cairn}
ENV_FILE=$CACHE/env
RUST_MINIMUM=1.92
WASM_TARGET=wasm32v1-none

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        die "needs root for: $*; run it as root once, then run this script again"
    fi
}

# apt_install PACKAGE...: from Debian's or Ubuntu's archive.
apt_install() {
    have apt-get || die "missing: $*; install them with this system's package manager and run this again"
    say "apt-get install $*"
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >"$CACHE/apt.log" 2>&1; then
        as_root apt-get update >>"$CACHE/apt.log" 2>&1 || true
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >>"$CACHE/apt.log" 2>&1 ||
            {
                tail -n 5 "$CACHE/apt.log" >&2
                die "apt-get could not install $*; the whole log is $CACHE/apt.log"
            }
    fi
}

# Compilers and the tools that build scripts call.
install_tools() {
    local wanted=()
    { have cc && have c++ && have make; } || wanted+=(build-essential)
    have perl || wanted+=(perl)
    have pkg-config || wanted+=(pkg-config)
    have clang || wanted+=(clang)
    have protoc || wanted+=(protobuf-compiler)
    have curl || wanted+=(curl ca-certificates)
    # protoc's own .proto files are a package of their own on Debian, which --no-install-recommends leaves out.
    if have apt-get && [ ! -e /usr/include/google/protobuf/empty.proto ]; then wanted+=(libprotobuf-dev); fi
    # What `cairn eval` starts is tested with the Python that is there.
    have python3 || wanted+=(python3)
    # polkadot.js is tested with Node.
    { have node && have npm; } || wanted+=(nodejs npm)
    if [ ${#wanted[@]} -gt 0 ]; then apt_install "${wanted[@]}"; fi
}

# at_least A B: whether version A is not below B.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

rust_is_new_enough() {
    have cargo && have rustc && at_least "$(rustc --version | cut -d' ' -f2)" "$RUST_MINIMUM"
}

install_rust() {
    [ ! -e "$HOME/.cargo/env" ] || . "$HOME/.cargo/env"
    if rust_is_new_enough; then return; fi
    if have rustup; then
        say "rustup toolchain install stable"
        if rustup toolchain install stable --profile minimal --component clippy,rustfmt >"$CACHE/rustup.log" 2>&1; then
            rustup default stable >>"$CACHE/rustup.log" 2>&1
        fi
    else
        say "installing Rust with rustup"
        curl --proto '=https' --tlsv1.2 -sSf --max-time 60 https://sh.rustup.rs -o "$CACHE/rustup-init.sh" 2>"$CACHE/rustup.log" &&
            sh "$CACHE/rustup-init.sh" -y --profile minimal --component clippy,rustfmt >>"$CACHE/rustup.log" 2>&1 || true
        [ ! -e "$HOME/.cargo/env" ] || . "$HOME/.cargo/env"
    fi
    if rust_is_new_enough; then return; fi
    say "rustup could not download; taking Debian's Rust"
    apt_install rustc-web cargo-web
    hash -r
    rust_is_new_enough || die "Rust $RUST_MINIMUM or newer is needed, and neither rustup nor apt-get has it; install it and run this again"
}

# links_wasm RUSTC...: whether this compiler can link a runtime: target, bitcode (for LTO) and linker.
links_wasm() {
    local dir status=0
    dir=$(mktemp -d)
    cat >"$dir/probe.rs" <<'RUST'
#![no_std]
extern crate alloc;
use core::alloc::{GlobalAlloc, Layout};
struct Nowhere;
unsafe impl GlobalAlloc for Nowhere {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 { core::ptr::null_mut() }
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
#[global_allocator]
static ALLOCATOR: Nowhere = Nowhere;
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }
#[no_mangle]
pub extern "C" fn probe(n: usize) -> usize { alloc::vec::Vec::<u8>::with_capacity(n).capacity() }
RUST
    "$@" --target "$WASM_TARGET" --crate-type cdylib -C lto=fat -C panic=abort --out-dir "$dir" "$dir/probe.rs" \
        >"$CACHE/probe.log" 2>&1 || status=$?
    rm -rf "$dir"
    return $status
}

# The directory of $CACHE that is put on PATH.
use_lld() {
    have rust-lld && return
    have lld || apt_install lld
    mkdir -p "$CACHE/bin"
    ln -sf "$(command -v lld)" "$CACHE/bin/rust-lld"
}

# build_core CARGO-COMMAND...: builds core and alloc from the toolchain's own sources, with the bitcode that
# the runtime's LTO wants, and puts them into its sysroot.
build_core() {
    local dir sysroot target_lib
    sysroot=$(cd / && "${@/%cargo/rustc}" --print sysroot)
    target_lib=$sysroot/lib/rustlib/$WASM_TARGET/lib
    dir=$(mktemp -d)
    mkdir -p "$dir/src"
    printf '[package]\nname = "probe"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n' >"$dir/Cargo.toml"
    printf '#![no_std]\n' >"$dir/src/lib.rs"
    say "building core and alloc for $WASM_TARGET (half a minute)"
    (
        cd "$dir"
        unset CARGO_ENCODED_RUSTFLAGS RUSTC RUSTUP_TOOLCHAIN
        RUSTFLAGS="-C embed-bitcode=yes" RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$dir/target \
            "$@" build --release -Zbuild-std=core,alloc --target "$WASM_TARGET"
    ) >"$CACHE/core.log" 2>&1 || die "core could not be built for $WASM_TARGET; the log is $CACHE/core.log"
    as_root mkdir -p "$target_lib"
    as_root find "$target_lib" -name 'lib*.rlib' -delete
    as_root cp "$dir/target/$WASM_TARGET/release/deps/"lib{core,alloc,compiler_builtins}-*.rlib "$target_lib/"
    rm -rf "$dir"
}

# Sets WASM_TOOLCHAIN: the rustup toolchain that builds the runtime, empty for the default one.
install_wasm_target() {
    WASM_TOOLCHAIN=
    if links_wasm rustc; then return; fi
    if have rustup; then
        if links_wasm rustup run debian rustc; then
            WASM_TOOLCHAIN=debian
            return
        fi
        say "rustup target add $WASM_TARGET"
        if timeout 300 rustup target add "$WASM_TARGET" >"$CACHE/rustup.log" 2>&1 && links_wasm rustc; then return; fi
        say "rustup could not download; building the target from Debian's Rust"
    fi
    have apt-get || die "the Rust target $WASM_TARGET is missing and there is no apt-get; run: rustup target add $WASM_TARGET"
    [ -x /usr/bin/cargo ] && [ -e /usr/lib/rustlib/src/rust ] && have lld || apt_install rustc-web cargo-web rust-web-src lld
    use_lld
    if have rustup; then
        rustup toolchain link debian /usr
        WASM_TOOLCHAIN=debian
        links_wasm rustup run debian rustc || build_core rustup run debian cargo
        links_wasm rustup run debian rustc || die "$WASM_TARGET still does not link: $(grep -m 1 . "$CACHE/probe.log"); see $CACHE/probe.log"
    else
        links_wasm rustc || build_core /usr/bin/cargo
        links_wasm rustc || die "$WASM_TARGET still does not link: $(grep -m 1 . "$CACHE/probe.log"); see $CACHE/probe.log"
    fi
}

write_env() {
    {
        printf '# Written by scripts/setup.sh; read by the Makefile. A shell can read it too.\n'
        printf 'case ":$PATH:" in *":%s:"*) ;; *) export PATH="%s:$PATH" ;; esac\n' "$CACHE/bin" "$CACHE/bin"
        if [ -d "$HOME/.cargo/bin" ]; then
            printf 'case ":$PATH:" in *":%s:"*) ;; *) export PATH="$PATH:%s" ;; esac\n' "$HOME/.cargo/bin" "$HOME/.cargo/bin"
        fi
        if [ -n "$WASM_TOOLCHAIN" ]; then printf 'export WASM_BUILD_TOOLCHAIN=%s\n' "$WASM_TOOLCHAIN"; fi
    } >"$ENV_FILE.new"
    if cmp -s "$ENV_FILE.new" "$ENV_FILE"; then rm "$ENV_FILE.new"; else mv "$ENV_FILE.new" "$ENV_FILE"; fi
}

mkdir -p "$CACHE/bin"
PATH=$CACHE/bin:$PATH
install_tools
install_rust
install_wasm_target
write_env
say "ready: $(rustc --version), $WASM_TARGET by ${WASM_TOOLCHAIN:-the default toolchain}, $(protoc --version)"
