"""Does ONNX Runtime tell nobody that it is used?"""

import os
import subprocess
import sys
from pathlib import Path


def test_scoring_by_a_graph_leaves_no_telemetry_in_the_home_folder(tmp_path: Path) -> None:
    code = "from unheard.detectors import bundle; bundle.load(bundle.default())"
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert "telemetry" not in run.stderr
    assert not [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name]
