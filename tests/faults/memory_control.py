"""A loop over a string, each allocation of the interpreter failing in turn, with
nothing of aiofast in the process. Where this crashes, that version of CPython does
not survive a lack of memory, whatever the program is: 3.12.1 and 3.13.0 free the
code of a generator expression that is still in use. (PYTHONMALLOC=debug fills what
is freed, so that it crashes at once and not some time later.)
"""

import _testcapi
import gc


def work(text="http://host/path"):
    _head, _found, rest = text.partition("//")
    return min((at for at in map(rest.find, "/?#\\") if at >= 0), default=len(rest))


for _ in range(50):
    work()  # The interpreter adapts itself to it.
for at in range(1, 40):
    gc.collect()
    _testcapi.set_nomemory(at, at + 1)
    try:
        work()
    except BaseException:
        pass
    finally:
        _testcapi.remove_mem_hooks()
    str(work.__code__.co_consts)
