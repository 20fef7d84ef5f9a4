"""multiprocessing's forkserver and a manager listen on unix sockets of their own: the interpreter's plumbing."""
# run: --sockets-kinds=tcp,udp,unix
# needs: posix
# crosses: the manager's sockets
# at the end: the manager and the fork server end with the interpreter

import multiprocessing

KEPT = []


def work(things):
    things.append(1)


def test_a_manager_and_a_forkserver():
    context = multiprocessing.get_context("forkserver")
    manager = context.Manager()
    KEPT.append(manager)
    things = manager.list()
    process = context.Process(target=work, args=[things])
    process.start()
    process.join()
    assert list(things) == [1]


def test_next_is_innocent():
    pass
