"""The AASIST layers and back-end: sizes as published, numbers as a literal reference has them."""

import pytest
import torch
from torch import Tensor, nn

import aasist_reference as reference
from unheard.detectors.layers.aasist import Aasist, GraphHead, largest_size
from unheard.detectors.layers.graph import GraphAttention, GraphPool, JointGraphAttention

N_FEATURES = 8


def lively(module: nn.Module) -> nn.Module:
    """Return the module with statistics and attention far from those of a fresh one.

    Fresh attention is nearly uniform, so that an error in it would hardly show.
    """
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            if name.endswith("_weight"):
                value.mul_(20)
            elif "norm" in name and value.is_floating_point():
                value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return module


@pytest.fixture
def back_end() -> Aasist:
    torch.manual_seed(0)
    module = lively(Aasist(N_FEATURES))
    assert isinstance(module, Aasist)
    return module


def frames(n_clips: int, n_frames: int) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(n_clips, n_frames, N_FEATURES, generator=generator)


def learning(module: nn.Module) -> dict[str, Tensor]:
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def test_has_as_many_parameters_as_published() -> None:
    with torch.device("meta"):
        module = Aasist()
    assert sum(p.numel() for p in module.parameters()) == 447_242
    assert sum(p.numel() for p in module.projection.parameters()) == 131_200
    assert module.n_embedding == 160


def test_only_the_projection_grows_with_the_encoder() -> None:
    with torch.device("meta"):
        narrow = Aasist(384)
    assert sum(p.numel() for p in narrow.parameters()) == 447_242 - (1024 - 384) * 128


def test_what_never_learns_is_frozen_and_moves_no_score(back_end: Aasist) -> None:
    frozen = {name: p for name, p in back_end.named_parameters() if not p.requires_grad}
    assert sum(p.numel() for p in frozen.values()) == 2 * (32 + 32 + 64 + 64 + 64)
    assert all("unused_norm" in name for name in frozen)
    back_end.eval()
    before = back_end(frames(2, 30))
    for parameter in frozen.values():
        parameter.data.fill_(7.0)
    assert torch.equal(back_end(frames(2, 30)), before)


# Float32 sums taken in another order; in float64 the same numbers agree to 1e-10.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("training", [False, True])
def test_scores_and_gradients_are_those_of_the_reference(
    back_end: Aasist, dtype: torch.dtype, tolerance: float, training: bool
) -> None:
    back_end.to(dtype).train(training)
    given = frames(3, 33).to(dtype).requires_grad_()
    wanted = [given, *learning(back_end).values()]
    expected = reference.aasist_score(reference.tensors(back_end), given, training)
    slopes = torch.autograd.grad(expected.square().sum(), wanted)
    scores = back_end(given)
    torch.testing.assert_close(scores, expected, rtol=tolerance, atol=tolerance)
    actual_slopes = torch.autograd.grad(scores.square().sum(), wanted)
    for name, slope, other in zip(
        ["frames", *learning(back_end)], actual_slopes, slopes, strict=True
    ):
        scale = max(1.0, float(other.abs().max()))
        error = float((slope - other).abs().max()) / scale
        assert error < 10 * tolerance, name


def test_largest_size_is_that_of_either_sign_and_slopes_towards_it() -> None:
    nodes = torch.tensor([[1.0, -3.0, 2.0], [4.0, -2.0, 0.0]], requires_grad=True)
    sizes = largest_size(nodes, 1)
    assert sizes.tolist() == [3.0, 4.0]
    sizes.sum().backward()
    assert nodes.grad is not None
    assert nodes.grad.tolist() == [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]


@pytest.mark.parametrize("n_nodes", [1, 2, 3, 8, 9])
def test_attention_among_any_number_of_nodes_is_that_of_all_pairs(n_nodes: int) -> None:
    torch.manual_seed(0)
    layer = lively(GraphAttention(5, 7, temperature=2.0)).double().eval()
    nodes = torch.randn(2, n_nodes, 5, dtype=torch.float64)
    expected = reference.graph_attention(reference.tensors(layer), nodes, 2.0, training=False)
    torch.testing.assert_close(layer(nodes), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("n_temporal", "n_spectral"), [(1, 1), (1, 4), (6, 1), (5, 4)])
def test_joint_attention_weighs_each_kind_of_pair_by_its_own_weight(
    n_temporal: int, n_spectral: int
) -> None:
    torch.manual_seed(0)
    layer = lively(JointGraphAttention(5, 7, temperature=100.0)).double().eval()
    temporal, spectral, stack = given = [
        torch.randn(2, n, 5, dtype=torch.float64) for n in (n_temporal, n_spectral, 1)
    ]
    expected = reference.joint_attention(
        reference.tensors(layer), temporal, spectral, stack, temperature=100.0, training=False
    )
    for attended, other in zip(layer(*given), expected, strict=True):
        torch.testing.assert_close(attended, other, rtol=0, atol=1e-12)


def test_pooling_keeps_the_best_nodes_best_first_and_scales_them() -> None:
    pool = GraphPool(1, 0.5).eval()
    with torch.no_grad():
        pool.score.weight.fill_(1.0)
        pool.score.bias.fill_(0.0)
    nodes = torch.tensor([[-1.0], [3.0], [0.0], [1.0], [2.0]]).unsqueeze(0)
    expected = torch.tensor([3.0, 2.0]) * torch.sigmoid(torch.tensor([3.0, 2.0]))
    torch.testing.assert_close(pool(nodes).flatten(), expected)


@pytest.mark.parametrize(("n_nodes", "share", "n_kept"), [(1, 0.5, 1), (9, 0.5, 4), (23, 0.7, 16)])
def test_pooling_keeps_at_least_one_node(n_nodes: int, share: float, n_kept: int) -> None:
    assert GraphPool(3, share)(torch.zeros(2, n_nodes, 3)).shape == (2, n_kept, 3)


def test_graphs_have_the_published_numbers_of_nodes(back_end: Aasist) -> None:
    sizes: dict[str, tuple[int, int]] = {}

    def note(name: str, given: Tensor, kept: Tensor) -> None:
        sizes[name] = (given.shape[1], kept.shape[1])

    for name, part in back_end.named_modules():
        if isinstance(part, GraphPool):
            part.register_forward_hook(lambda _, given, kept, name=name: note(name, given[0], kept))
    back_end.eval()(frames(1, 201))
    for branch in ("first", "second"):
        assert sizes[f"graphs.{branch}.spectral_pool"] == (21, 10)
        assert sizes[f"graphs.{branch}.temporal_pool"] == (33, 16)
    assert sizes["graphs.spectral_pool"] == (42, 21)
    assert sizes["graphs.temporal_pool"] == (67, 33)


@pytest.mark.parametrize("n_frames", [3, 4, 6, 49, 50, 199, 399])
def test_takes_any_number_of_frames_from_three(back_end: Aasist, n_frames: int) -> None:
    back_end.eval()
    assert back_end.embed(frames(2, n_frames)).shape == (2, 160)
    back_end.train()
    assert torch.isfinite(back_end(frames(2, n_frames))).all()


def test_score_is_the_logit_of_bonafide_less_that_of_spoof(back_end: Aasist) -> None:
    embedding = torch.randn(4, 160)
    before = back_end.score(embedding)
    with torch.no_grad():
        back_end.logits.bias.add_(torch.tensor([0.0, 3.0]))
    torch.testing.assert_close(back_end.score(embedding), before + 3)
    with torch.no_grad():
        back_end.logits.bias.add_(torch.tensor([5.0, 0.0]))
    torch.testing.assert_close(back_end.score(embedding), before - 2)


def test_batch_mates_move_no_score(back_end: Aasist) -> None:
    back_end.eval()
    clips = frames(4, 60)
    mates = clips.clone()
    mates[1], mates[2] = 0, 100 * mates[2]
    alone = back_end(clips[:1])
    torch.testing.assert_close(back_end(mates)[:1], alone, rtol=0, atol=1e-5)


def test_same_seed_gives_the_same_weights_and_the_same_dropout() -> None:
    scores = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        scores.append(Aasist(N_FEATURES)(frames(2, 30)).tolist())
    assert scores[0] == scores[1] != scores[2]


@pytest.fixture(params=["attention", "joint", "pool"])
def layer_and_nodes(request: pytest.FixtureRequest) -> tuple[nn.Module, list[Tensor]]:
    torch.manual_seed(0)
    layers: dict[str, tuple[nn.Module, int]] = {
        "attention": (GraphAttention(3, 2, 2.0), 1),
        "joint": (JointGraphAttention(3, 2, 100.0), 3),
        "pool": (GraphPool(3, 0.5), 1),
    }
    layer, n_inputs = layers[request.param]
    sizes = (4, 3, 1)[:n_inputs]
    nodes = [torch.randn(2, n, 3, dtype=torch.float64, requires_grad=True) for n in sizes]
    return lively(layer).double(), nodes


def test_first_and_second_derivatives_are_those_of_finite_differences(
    layer_and_nodes: tuple[nn.Module, list[Tensor]],
) -> None:
    layer, nodes = layer_and_nodes
    assert torch.autograd.gradcheck(layer, nodes)
    assert torch.autograd.gradgradcheck(layer, nodes)


def test_functional_gradient_is_that_of_backward(back_end: Aasist) -> None:
    given = frames(2, 30)
    weights = {name: value.detach() for name, value in learning(back_end).items()}

    def loss(weights: dict[str, Tensor]) -> Tensor:
        statistics = {name: value.clone() for name, value in back_end.named_buffers()}
        score: Tensor = torch.func.functional_call(back_end, (weights, statistics), (given,))
        return score.square().sum()

    slopes = torch.func.grad(loss)(weights)
    back_end(given).square().sum().backward()
    for name, parameter in learning(back_end).items():
        torch.testing.assert_close(slopes[name], parameter.grad, rtol=1e-3, atol=1e-4)


def test_training_keeps_half_of_the_pairs_at_most() -> None:
    n_clips, n_nodes, n_features = 2, 60, 16
    kept: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    head = GraphHead(n_nodes, n_features, (n_features, 8), (0.5, 0.5, 0.5))
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        head(*(torch.randn(n_clips, n_nodes, n_features) for _ in range(2)))
    assert max(kept) <= n_clips * (n_nodes // 2 + 1) * n_nodes * n_features
