"""Run the cases of a certifier, or the special ones, and print a line of JSON for each: python matrix.py Certify

Each runs on both pretended devices; the current one is the first. The numbers must be those of one stream.
"""

import json
import sys
import time
import traceback
from dataclasses import fields, is_dataclass

import numpy as np
from cases import cases_of, special_cases
from checker import watched
from device import pretend
from torch import Tensor

import smoothing


def numbers(found):
    """A result as lists of numbers and texts, which can be compared."""
    if is_dataclass(found):
        return [numbers(getattr(found, field.name)) for field in fields(found) if field.name != "origin"]
    if isinstance(found, Tensor | np.ndarray):
        return found.tolist()
    if isinstance(found, list | tuple):
        return [numbers(each) for each in found]
    return found


def main(name):
    pretend()
    for case_name, case, devices in special_cases() if name == "special" else cases_of(getattr(smoothing, name)):
        started = time.process_time()
        line = {"case": case_name, "error": "", "races": [], "differs": [], "kernels_beside": 0}
        try:
            with watched(one_stream=True):
                expected = repr(numbers(case(device="cuda:0")))
            for device in devices:
                with watched() as seen:
                    found = repr(numbers(case(device=device)))
                line["kernels_beside"] += seen.launches["side"]
                line["races"] += [f"{device}: {race}" for race in seen.races]
                line["differs"] += [device] if found != expected else []
        except Exception:
            line["error"] = traceback.format_exc()
        print(json.dumps(line | {"seconds": round(time.process_time() - started, 3)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
