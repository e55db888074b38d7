"""Run the cases of a certifier, or the special ones, twice on a real GPU: python on_a_gpu.py Certify

Prints a line of JSON for each case. Memory is used again between the two runs, so a race may change their numbers.
"""

import json
import sys
import traceback

from cases import cases_of, special_cases
from matrix import numbers

import smoothing


def main(name):
    for case_name, case, _ in special_cases() if name == "special" else cases_of(getattr(smoothing, name)):
        line = {"case": case_name, "error": "", "differs": False}
        try:
            expected, found = (repr(numbers(case(device="cuda:0"))) for _ in range(2))
            line["differs"] = found != expected
        except Exception:
            line["error"] = traceback.format_exc()
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
