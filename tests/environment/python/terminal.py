"""terminal.py PROGRAM ARGUMENT...: runs a program in a terminal of its own, and closes the terminal on SIGUSR1.

Prints what the program prints. Ends with the program's exit code, or 128 and the number of the signal that ended it.
"""

import os
import pty
import signal
import sys

program = sys.argv[1:]
child, terminal = pty.fork()
if child == 0:
    os.execvp(program[0], program)

# The kernel sends SIGHUP to the program then, as when a window is closed or an SSH connection ends.
signal.signal(signal.SIGUSR1, lambda *_: os.close(terminal))
try:
    while output := os.read(terminal, 65536):
        os.write(1, output)
except OSError:
    pass
_, status = os.waitpid(child, 0)
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
