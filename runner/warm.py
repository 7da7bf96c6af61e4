"""Kernels that start warm: forked from a process that has already imported the packages.

Importing torch, scikit-learn and the rest takes seconds, a short run of a chapter hardly longer.
A `Nursery` is one process that imports them and does nothing else. Each kernel is then a fork of
it: a process of its own, in which nothing has run but those imports.

A kernel is started by a small stand-in, whose process the kernel manager knows. It asks the nursery
for a kernel, passes on signals, and ends as the kernel ends; when it is killed, so is the kernel.
The nursery holds a pipe from its owner, and ends with all its kernels when the owner does, however
that comes about.

This file imports nothing outside the standard library, so that a stand-in starts at once.
"""

# Why not multiprocessing's forkserver behind a kernel provisioner of jupyter_client: a worker of
# Dask is a daemon, which may start no process of multiprocessing; and once the owner was killed,
# the forkserver, a busy kernel and what kernels had started all ran on.

import contextlib
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time

_POLL = 0.05  # seconds between two looks at what has changed
_PATIENCE = 120  # seconds that a stand-in waits for the nursery to have imported everything


class Nursery:
    """A process that has imported packages, whose forks are kernels.

    Parameters
    ----------
    names : iterable of str
        What to import, as in ``import torch.nn``. A name that cannot be imported is left out: the
        run that needs it will say so.
    environment : dict, optional
        Environment variables during the import, by default those of this process.

    Attributes
    ----------
    command : list of str
        Start a kernel with this and the path of its connection file.

    Examples
    --------
    >>> nursery = Nursery(["numpy"])
    >>> nursery.command[-2]
    'stand-in'
    >>> nursery.close()
    """

    def __init__(self, names, environment=None):
        self._folder = tempfile.TemporaryDirectory(prefix="hb-")
        address = os.path.join(self._folder.name, "nursery")
        self.command = [sys.executable, "-I", "-S", os.path.abspath(__file__), "stand-in", address]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "runner.warm", "nursery", address, *names],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is the owner's affair
        )

    def close(self):
        """End the process and the kernels it has."""
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()


# --- the process with the imports ----------------------------------------------------------------


def _nurse(address, names):
    """Import, then fork a kernel for every stand-in that calls, until the owner is gone."""
    del sys.path[0]  # this folder, as for every kernel
    import ipykernel.kernelapp  # noqa: F401 - what every kernel imports

    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    server = socket.socket(socket.AF_UNIX)
    server.bind(address + ".new")
    server.listen()
    os.rename(address + ".new", address)  # a stand-in that finds the address finds it ready
    kernels = {}
    selector = selectors.DefaultSelector()
    selector.register(server, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select(_POLL if kernels else None):
            if key.fileobj is sys.stdin:
                for pid in kernels.values():
                    _signal(pid, signal.SIGKILL)
                    _end_group(pid)
                return
            if key.fileobj is server:
                caller, _ = server.accept()
                kernels[caller] = _fork(_received(caller))
                selector.register(caller, selectors.EVENT_READ)
            elif key.fileobj in kernels:
                order = key.fileobj.recv(1)
                _signal(kernels[key.fileobj], order[0] if order else signal.SIGKILL)
                if not order:
                    selector.unregister(key.fileobj)
        for caller, pid in list(kernels.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                _end_group(pid)
                del kernels[caller]
                if caller in selector.get_map():
                    selector.unregister(caller)
                    caller.sendall(bytes([os.waitstatus_to_exitcode(status) % 256]))
                caller.close()


def _fork(order):
    """Start a kernel as a fork of this process; return its process id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        # The nursery's sockets are not the kernel's.
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.chdir(order["cwd"])
        os.environ.clear()
        # The kernel ends by itself when this process is gone.
        os.environ.update(order["environment"], JPY_PARENT_PID=str(os.getppid()))
        sys.argv = ["ipykernel_launcher", "-f", order["connection_file"]]
        from ipykernel.kernelapp import launch_new_instance

        launch_new_instance()
        os._exit(0)
    finally:
        os._exit(1)


def _received(caller):
    """The order of a stand-in: a line of JSON."""
    with caller.makefile() as lines:
        return json.loads(lines.readline())


def _signal(pid, number):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _end_group(pid):
    """End what a kernel has started, such as the workers of joblib: they would wait for more."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


# --- the stand-in --------------------------------------------------------------------------------


def _stand_in(address, connection_file):
    """Have a kernel forked, pass on signals, end as it ends."""
    start = time.monotonic()
    while not os.path.exists(address):
        if time.monotonic() - start > _PATIENCE:
            return 1
        time.sleep(_POLL)
    nursery = socket.socket(socket.AF_UNIX)
    nursery.connect(address)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: nursery.send(bytes([number])))
    order = {
        "connection_file": connection_file,
        "cwd": os.getcwd(),
        "environment": dict(os.environ),
    }
    nursery.sendall(json.dumps(order).encode() + b"\n")
    ended = nursery.recv(1)
    return ended[0] if ended else 1


if __name__ == "__main__":
    role, address, *rest = sys.argv[1:]
    if role == "nursery":
        _nurse(address, rest)
    else:
        sys.exit(_stand_in(address, *rest))
