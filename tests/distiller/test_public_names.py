import subprocess
import sys

import distiller


def test_public_names_are_there() -> None:
    for name in distiller.__all__:
        assert getattr(distiller, name).__name__ == name


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, distiller; print([m for m in ('torch', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
