# Helpers that the scripts share: where things are, who runs the server, and private throw-away clusters that see the
# staged build. Sourced, never run; it sets `set -euo pipefail` for its caller.
# shellcheck shell=bash
set -euo pipefail
umask 022 # what root builds must be readable by the user that runs the server

# Where the caller's own servers are, and how to talk to them, is not for private clusters: not even initdb runs with any
# PGPORT. PG_CONFIG and PG_TEST_... stay, and so does PGOPTIONS, with which one measures what a setting costs.
for name in "${!PG@}"; do
    if [[ $name != PG_* && $name != PGOPTIONS ]]; then unset "$name"; fi
done
unset name

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
stage=$top/build/stage

say() { printf '==> %s\n' "$*" >&2; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# on_exit COMMAND [ARG...]: run it when the script ends, however it ends; the last one registered runs first.
exit_commands=()
on_exit() { exit_commands+=("$(printf '%q ' "$@")"); }
run_exit_commands() {
    local status=$? i
    trap - EXIT
    for ((i = ${#exit_commands[@]} - 1; i >= 0; i--)); do eval "${exit_commands[i]}" || true; done
    exit "$status"
}
trap run_exit_commands EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- PostgreSQL -------------------------------------------------------------------------------------------------------

# Sets PG_CONFIG, PG_BIN and PG_MAJOR. All three are empty when no PostgreSQL is there: only scripts/setup goes on then.
pg_detect() {
    local candidate
    PG_CONFIG=${PG_CONFIG:-$(command -v pg_config || true)}
    if [[ -z $PG_CONFIG ]]; then
        for candidate in /usr/lib/postgresql/*/bin/pg_config; do # in ascending order: the newest stays
            if [[ -x $candidate ]]; then PG_CONFIG=$candidate; fi
        done
    fi
    PG_BIN='' PG_MAJOR=''
    if [[ -n $PG_CONFIG ]]; then
        PG_BIN=$("$PG_CONFIG" --bindir) || die "PG_CONFIG=$PG_CONFIG does not run"
        PG_MAJOR=$("$PG_CONFIG" --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/')
        export PG_CONFIG PG_BIN PG_MAJOR
    fi
}
pg_detect

# --- root, and the unprivileged user ----------------------------------------------------------------------------------

as_root() { if ((EUID == 0)); then "$@"; else sudo "$@"; fi; }

# Who runs the server when we are root; PostgreSQL refuses to run as root.
server_user() {
    if id -u postgres >/dev/null 2>&1; then echo postgres; else echo nobody; fi
}

# as_server_user COMMAND [ARG...]: the environment is kept, except that HOME must be one which that user can read.
as_server_user() {
    local user
    if ((EUID == 0)); then
        user=$(server_user)
        setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups env HOME=/tmp "$@"
    else
        "$@"
    fi
}

# server_dir DIR [MODE]: makes a directory that as_server_user can write to.
server_dir() {
    mkdir -p "$1"
    if ((EUID == 0)); then chown "$(server_user):" "$1"; fi
    chmod "${2:-755}" "$1"
}

# lock_dir DIR: for this run alone, because the end of another would remove what this one works with. What runs from here
# holds the lock, too: a server that is left of a run that was killed.
lock_dir() {
    local lock dir file pids=''
    exec {lock}<"$1"
    if flock -w 5 "$lock"; then return; fi # some of its processes may be about to end
    for dir in "$1"/*/; do
        if [[ -n $PG_BIN ]] && cluster_running "${dir%/}"; then
            die "another run works in $1; if it was killed, end what it has left: $(cluster_stop_command "${dir%/}")"
        fi
    done
    for file in /proc/[0-9]*/fd/*; do
        if [[ $file != /proc/$$/* && $file -ef $1 ]]; then pids+=" $(cut -d/ -f3 <<<"$file")"; fi
    done
    die "another run works in $1${pids:+; if it was killed, end what it has left: kill$pids}"
}

# run_where_readable RESULTS ARG...: returns at once if the server's user can read the checkout. If not (root's checkout
# below a closed /root), runs the calling script with ARG... in a copy below /tmp, brings the files of the directory
# RESULTS (relative to the checkout) back, and exits. CDC_CHECKOUT_COPY is set in the copy.
run_where_readable() {
    local results=$1 copy status=0
    shift
    if ((EUID != 0)) || as_server_user test -r "$top/scripts/lib.sh"; then return 0; fi
    copy=$(mktemp -d /tmp/cdc-checkout.XXXXXX)
    on_exit rm -rf "$copy"
    say "user $(server_user) cannot read $top: working in $copy"
    tar -C "$top" --exclude=./.git --exclude=./build -cf - . | tar -C "$copy" --no-same-owner -xf -
    chmod -R go+rX "$copy"
    CDC_CHECKOUT_COPY=1 "$copy/scripts/${0##*/}" "$@" || status=$?
    if [[ -d $copy/$results ]]; then
        mkdir -p "$top/$results"
        find "$copy/$results" -maxdepth 1 -type f -exec cp -t "$top/$results" {} +
    fi
    exit "$status"
}

# python_with MODULE...: the path of a Python that has them, and that the server's user can run too. The one on the path may
# be another than the one that Debian's packages serve.
python_with() {
    local python modules="$*"
    for python in python3 /usr/bin/python3; do
        # Without importing them: some make folders in HOME.
        if as_server_user "$python" -c 'import sys, importlib.util
if not all(map(importlib.util.find_spec, sys.argv[1:])): sys.exit(1)
print(sys.executable)' "$@" 2>/dev/null; then return; fi
    done
    die "no python3 with the modules $modules: run scripts/setup"
}

# run_as_group COMMAND...: in the background, because bash heeds a signal only once its foreground command has ended; and
# as a process group of its own, so that the signal can be passed on to all of it. Returns the command's status.
run_as_group() {
    local group
    set -m
    "$@" &
    group=$!
    set +m
    on_exit kill_group "$group"
    wait "$group"
}
kill_group() { kill -- "-$1" 2>/dev/null; }

# mount_small_fs DIR MEGABYTES: a file system to fill, for the server's user, unmounted at exit. Fails, and says why,
# where none can be mounted. A password is not asked for: at the exit, perhaps nobody is there any more.
mount_small_fs() {
    local owner
    if ((EUID != 0)) && ! sudo -k -n true 2>/dev/null; then
        say "neither root nor a user whose sudo asks for no password: no small file system can be mounted"
        return 1
    fi
    if mountpoint -q "$1"; then as_root umount "$1"; fi # of a run that was killed
    mkdir -p "$1"
    owner=uid=$(as_server_user id -u),gid=$(as_server_user id -g)
    if ! as_root mount -t tmpfs -o "size=$2m,mode=700,$owner" tmpfs "$1"; then
        say "no file system can be mounted here"
        return 1
    fi
    on_exit as_root umount "$1"
}

# --- private clusters -------------------------------------------------------------------------------------------------
# No TCP, trust authentication on a socket in a directory of its own (short, because socket paths end at 107 bytes), so
# the port can be the same everywhere. The staged extension and plugins are seen without installing them.

cluster_running() { as_server_user "$PG_BIN/pg_ctl" -D "$1" status >/dev/null 2>&1; }

# cluster_setting DIR NAME: the value; fails if this server does not know the setting.
cluster_setting() { as_server_user "$PG_BIN/postgres" -D "$1" -C "$2" 2>/dev/null; }

conf_quote() {
    local value=${1//\\/\\\\}
    printf "'%s'" "${value//\'/\'\'}"
}

# cluster_create DIR [--plugins 'a, b'] [--initdb ARG]... [CONF-LINE...]: --plugins names further output plugins that
# the server may load. The cluster is removed at exit, unless keep_clusters=1.
keep_clusters=0
cluster_create() {
    local dir=$1 plugins='pgoutput, test_decoding, cdc_plugin' line conf
    local -a initdb=()
    shift
    while [[ ${1:-} == --* ]]; do
        case $1 in
        --plugins) plugins="$plugins, $2" ;;
        --initdb) initdb+=("$2") ;;
        esac
        shift 2
    done
    if [[ -z $PG_BIN || ! -x $PG_BIN/initdb ]]; then
        die "no PostgreSQL server found: run scripts/setup, or set PG_CONFIG"
    fi
    if cluster_running "$dir"; then
        die "a server runs in $dir: another run, or one that was kept; stop it with: $(cluster_stop_command "$dir")"
    fi
    rm -rf "$dir"
    server_dir "$dir" 700
    on_exit cluster_remove "$dir"
    as_server_user "$PG_BIN/initdb" -D "$dir" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync "${initdb[@]}" \
        >/dev/null || die "initdb failed in $dir"

    conf=("listen_addresses = ''" "port = 5432" "wal_level = logical"
        "dynamic_library_path = $(conf_quote "$stage$("$PG_CONFIG" --pkglibdir):\$libdir")")
    if cluster_setting "$dir" extension_control_path >/dev/null; then # 18 and later
        conf+=("extension_control_path = $(conf_quote "$stage$("$PG_CONFIG" --sharedir):\$system")")
    elif cluster_setting "$dir" extension_destdir >/dev/null; then # Debian's packages up to 17
        conf+=("extension_destdir = $(conf_quote "$stage")")
    elif [[ -w $("$PG_CONFIG" --sharedir)/extension ]]; then
        say "this server can load extensions from its own directories only: installing there"
        make -s -C "$top" install PG_CONFIG="$PG_CONFIG" >&2
    else
        die "this server can load extensions from its own directories only: run 'make install' with the rights for that"
    fi
    # A server that does not know this setting refuses to start with it. The list is one quoted string in the file.
    if cluster_setting "$dir" output_plugin_libraries >/dev/null; then
        conf+=("output_plugin_libraries = $(conf_quote "$plugins")")
    fi
    for line in "${conf[@]}" "$@"; do printf '%s\n' "$line"; done >>"$dir/postgresql.conf"
}

cluster_start() {
    local dir=$1 socket
    socket=$(mktemp -d /tmp/cdc-socket.XXXXXX)
    if ((!keep_clusters)); then on_exit rm -rf "$socket"; fi # of a server that crashed
    server_dir "$socket" 700
    if ! as_server_user "$PG_BIN/pg_ctl" -D "$dir" -l "$dir/server.log" -w -t 120 -o "-k $socket" start >/dev/null; then
        tail -n 20 "$dir/server.log" >&2 || true
        rm -rf "$socket"
        die "the server in $dir does not start"
    fi
    cluster_use "$dir"
}

# The socket directory of a running cluster: line 5 of its lock file.
cluster_socket() { sed -n 5p "$1/postmaster.pid"; }

# cluster_use DIR: libpq programs that are started after it connect to this cluster.
cluster_use() {
    PGHOST=$(cluster_socket "$1")
    export PGHOST PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
}

# cluster_psql DIR [ARG...]
cluster_psql() {
    local dir=$1
    shift
    (cluster_use "$dir" && exec "$PG_BIN/psql" -X -q -v ON_ERROR_STOP=1 "$@")
}

# What a person types to end a cluster that was kept.
cluster_stop_command() {
    local as=''
    if ((EUID == 0)); then as="runuser -u $(server_user) -- "; fi
    echo "$as$PG_BIN/pg_ctl -D $1 -m fast stop"
}

# cluster_stop DIR [fast|immediate|smart]
cluster_stop() {
    local dir=$1 mode=${2:-fast} socket
    cluster_running "$dir" || return 0
    socket=$(cluster_socket "$dir")
    as_server_user "$PG_BIN/pg_ctl" -D "$dir" -m "$mode" -w -t 120 stop >/dev/null
    if [[ $socket == /tmp/cdc-socket.* ]]; then rm -rf "$socket"; fi
}

cluster_remove() {
    if ((keep_clusters)); then return 0; fi
    cluster_stop "$1" immediate && rm -rf "$1"
}
