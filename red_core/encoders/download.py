"""Download a model of the hub, only when a person asked for it.

``python -m red_core.encoders.download NAME [REVISION]`` is a process of its own, because the product sets the hub's
client to offline everywhere else. It prints its progress and, last, the commit that was downloaded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from red_core.encoders.spec import EncoderSpec
from red_core.errors import EmbeddingError
from red_core.records import Progress

KEPT_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
"""Weights as safetensors only: other formats of weights can hold programs."""
WEIGHTS_OF_TORCH = "pytorch_model.bin"
"""Some models have nothing else. The library reads it as numbers only, without running what it holds."""
SECONDS_TO_CONNECT = 20


def download(spec: EncoderSpec, progress: Progress) -> EncoderSpec:
    """Download a model and return its spec with the commit that was downloaded.

    Parameters
    ----------
    progress : callable(done, total)
        In bytes. If it raises, the download is stopped; what is here stays, and the next call goes on from there.

    Raises
    ------
    EmbeddingError
        If the hub does not answer, or has no such model or revision.
    """
    command = [sys.executable, "-m", __name__, spec.name, *([spec.revision] if spec.revision else [])]
    environment = os.environ | {
        "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_ETAG_TIMEOUT": str(SECONDS_TO_CONNECT), "HF_HUB_DOWNLOAD_TIMEOUT": str(SECONDS_TO_CONNECT),
    }  # fmt: skip
    last: dict[str, Any] = {"error": "the download ended without a result"}
    with subprocess.Popen(  # noqa: S603  our own interpreter and module
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        try:
            for line in process.stdout or ():
                last = json.loads(line)
                if "total" in last:
                    progress(last["done"], last["total"])
        finally:
            process.kill()
    if "revision" not in last:
        raise EmbeddingError(
            f"the encoder {spec.name!r} cannot be downloaded: {last.get('error')}. Check the name and the connection, "
            "or give the folder of a model that you have."
        )
    return EncoderSpec(spec.name, str(last["revision"]), spec.prefix, spec.precision)


def main() -> None:
    """Download what the command line names; print one JSON object a line."""
    name, *revision = sys.argv[1:]
    from huggingface_hub import HfApi, snapshot_download  # noqa: PLC0415
    from tqdm import tqdm  # noqa: PLC0415

    class Bar(tqdm):  # type: ignore[misc]
        """Prints the bytes of all files together."""

        def update(self, n: float | None = 1) -> bool | None:
            shown = super().update(n)
            if self.unit == "B" and self.total:
                _say(done=int(self.n), total=int(self.total))
            return bool(shown)

    try:
        wanted = revision[0] if revision else None
        info = HfApi().model_info(name, revision=wanted, timeout=SECONDS_TO_CONNECT)
        files = [str(file.rfilename) for file in info.siblings or ()]
        weights = () if any(file.endswith(".safetensors") for file in files) else (WEIGHTS_OF_TORCH,)
        folder = snapshot_download(  # the wanted revision, so that the cache knows the model by its name, too
            name, revision=wanted, tqdm_class=Bar, max_workers=2,
            allow_patterns=[*KEPT_FILES, *weights], ignore_patterns=["onnx/*", "openvino/*"],
        )  # fmt: skip
    except Exception as error:  # noqa: BLE001  the parent says it in one line
        _say(error=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:300])
        return
    _say(revision=Path(folder).name)


def _say(**fact: object) -> None:
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
