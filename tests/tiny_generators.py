"""Models that generators stand on, of the published classes, tiny and with random weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from unheard.attacks import ATTACKS, Attack
from unheard.attacks.mel import Mel

__all__ = ["NEED_WEIGHTS", "audioldm", "codec", "diffusion", "hifi_gan", "ready"]

NEED_WEIGHTS = ("audioldm", "dac", "diffusion", "encodec", "hifi-gan", "mimi")


def ready(name: str, folder: Path) -> Attack:
    """Return a row of ATTACKS that stands on tiny weights, written to a folder."""
    source = str(MADE[name](folder))
    settings: dict[str, object] = {"source": source}
    if name == "diffusion":
        settings |= {"n_steps": 2}
    if name == "audioldm":
        settings |= {"n_steps": 2, "mel": Mel(n_mels=16, n_hop=160, logarithm="e")}
    if name == "hifi-gan":
        settings |= {"mel": Mel(n_mels=20, n_hop=64, low_hz=80.0, high_hz=7_600.0)}
    if name == "encodec":
        settings |= {"bandwidth_kbps": 3.0}
    if name == "mimi":
        settings |= {"n_codebooks": 2}
    return replace(ATTACKS[name], **settings)  # type: ignore[type-var]


def codec(kind: str, folder: Path, *, seed: int = 0) -> Path:
    """Write an EncodecModel, DacModel or MimiModel."""
    import transformers

    configs = {
        "encodec": transformers.EncodecConfig(
            target_bandwidths=[1.5, 3.0],
            num_filters=4,
            upsampling_ratios=[8, 5, 4, 2],
            hidden_size=16,
            codebook_dim=16,
            codebook_size=1024,
            num_lstm_layers=1,
        ),
        "dac": transformers.DacConfig(
            encoder_hidden_size=4,
            decoder_hidden_size=32,
            n_codebooks=3,
            codebook_size=16,
            codebook_dim=4,
        ),
        "mimi": transformers.MimiConfig(
            hidden_size=32,
            num_filters=4,
            codebook_size=16,
            codebook_dim=8,
            vector_quantization_hidden_dimension=8,
            num_quantizers=4,
            num_hidden_layers=1,
            intermediate_size=32,
            num_attention_heads=2,
            num_key_value_heads=2,
            upsample_groups=32,
        ),
    }
    names = {"encodec": "EncodecModel", "dac": "DacModel", "mimi": "MimiModel"}
    torch.manual_seed(seed)
    model = getattr(transformers, names[kind])(configs[kind])
    generator = torch.Generator().manual_seed(seed)
    for name, weight in [*model.named_parameters(), *model.named_buffers()]:
        # Codebooks start as zeros, which would decode everything to one sound.
        if "embed" in name or "codebook" in name:
            weight.data = torch.randn(weight.shape, generator=generator)
    model.save_pretrained(folder)
    return folder


def hifi_gan(
    folder: Path, *, n_mels: int = 20, hop: tuple[int, ...] = (8, 8), kind: str = "SpeechT5"
) -> Path:
    """Write a HiFi-GAN of either class."""
    import transformers

    config = getattr(transformers, f"{kind}HifiGanConfig")(
        model_in_dim=n_mels,
        upsample_initial_channel=16,
        upsample_rates=list(hop),
        upsample_kernel_sizes=[2 * hop_length for hop_length in hop],
        resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1, 3]],
    )
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}HifiGan")(config)
    for weight in model.parameters():
        weight.data += 0.1 * torch.randn_like(weight)
    model.save_pretrained(folder)
    return folder


def diffusion(folder: Path, *, mel: Mel | None = None) -> Path:
    """Write a diffusion model of ours, not trained."""
    from unheard.attacks.diffusion_model import DiffusionConfig, MelDiffusion, save

    torch.manual_seed(0)
    mel = mel or Mel(n_mels=16)
    save(folder, MelDiffusion(DiffusionConfig(mel=mel, widths=(8, 8), fold=2)))
    return folder


def audioldm(folder: Path) -> Path:
    """Write the parts of an AudioLDM pipeline, in the layout in which diffusers keeps one."""
    import diffusers
    import transformers

    torch.manual_seed(0)
    vae = diffusers.AutoencoderKL(
        in_channels=1,
        out_channels=1,
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
    )
    unet = diffusers.UNet2DConditionModel(
        in_channels=4,
        out_channels=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=(8, 16),
        class_embed_type="simple_projection",
        projection_class_embeddings_input_dim=8,
        class_embeddings_concat=True,
        norm_num_groups=4,
        attention_head_dim=4,
    )
    reader = transformers.ClapTextModelWithProjection(
        transformers.ClapTextConfig(
            vocab_size=8,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            projection_dim=8,
            max_position_embeddings=20,
        )
    )
    scheduler = diffusers.DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False)
    parts: dict[str, Any] = {"vae": vae, "unet": unet, "scheduler": scheduler}
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    reader.save_pretrained(folder / "text_encoder")
    words = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4, "a": 5, "b": 6, "ab": 7}
    (folder / "vocab.json").write_text(json.dumps(words))
    (folder / "merges.txt").write_text("#version: 0.2\na b\n")
    tokenizer = transformers.RobertaTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16
    )
    tokenizer.save_pretrained(folder / "tokenizer")
    hifi_gan(folder / "vocoder", n_mels=16, hop=(20, 8))
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "AudioLDMPipeline"}))
    return folder


MADE: dict[str, Callable[[Path], Path]] = {
    "audioldm": audioldm,
    "dac": lambda folder: codec("dac", folder),
    "diffusion": diffusion,
    "encodec": lambda folder: codec("encodec", folder),
    "hifi-gan": hifi_gan,
    "mimi": lambda folder: codec("mimi", folder),
}
