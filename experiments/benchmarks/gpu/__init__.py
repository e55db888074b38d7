"""What a GPU is asked in ten minutes: `make gpu`. Each module besides the runner's own is one section.

A section has a function `run(device, tiny)`, which yields lines of text as it finds them. A line that begins with
`FAILED` is a failed check, and one that begins with `SKIPPED` says why the section could not check anything. With
`tiny`, a section does the same work at a small size, also on a CPU: a rehearsal.
"""

FAILED, SKIPPED = "FAILED: ", "SKIPPED: "
