"""The test double of a GPU refuses what torch refuses on one, allows what torch allows and computes like a CPU."""

from __future__ import annotations

import copy
import io
import operator

import numpy as np
import pytest
import torch
from cuda_double import cuda_double
from torch import nn

CUDA = torch.device("cuda", 0)
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # EvoTorch has such functions


@pytest.fixture(autouse=True)
def double():
    with cuda_double() as double:
        yield double


def there(*size):
    return torch.arange(1.0, 1 + torch.Size(size).numel(), device="cuda").view(*size)


def here(*size):
    return torch.arange(1.0, 1 + torch.Size(size).numel()).view(*size)


def assert_there(*tensors):
    for tensor in tensors:
        assert tensor.device == CUDA
        assert tensor.is_cuda


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.zeros(3, device="cuda"),
        lambda: torch.tensor([1.0], device="cuda:0"),
        lambda: torch.as_tensor(np.ones(3), device=CUDA),
        lambda: torch.full((2,), torch.tensor(2.0), device="cuda"),
        lambda: here(3).to("cuda"),
        lambda: here(3).to(there(1)),
        lambda: here(3).to(device="cuda", dtype=torch.float64),
        lambda: here(3).type_as(there(1)),
        lambda: here(3).cuda(),
        lambda: torch.zeros_like(there(3)),
        lambda: there(3).new_ones(2),
        lambda: there(3).double(),
        lambda: there(2, 2).T,
        lambda: there(3)[here(2).long()],
        lambda: there(3).kthvalue(2).values,
        lambda: torch.linalg.eigh(torch.eye(2, device="cuda")).eigenvectors,
        lambda: next(iter(there(2, 2))),
        lambda: there(4).split(2)[1],
        lambda: torch.stack([there(2), there(2)]),
        lambda: torch.meshgrid(there(2), there(3), indexing="ij")[1],
        lambda: copy.deepcopy({"a": there(2)})["a"],
        lambda: torch.vmap(lambda a: a * there(3))(there(2, 3)),
        lambda: torch.func.grad(lambda a: (a * there(3)).sum())(there(3)),
        lambda: torch.jit.script(_twice)(there(2)),
        lambda: there(3) * torch.tensor(2.0),
        lambda: torch.tensor(2.0) - there(3),
        lambda: torch.where(there(3) > 1, there(3), torch.tensor(0.0)),
        lambda: there(3).masked_fill(there(3) > 1, torch.tensor(0.0)),
        lambda: nn.Parameter(there(3)),
    ],
)
def test_is_over_there(make):
    assert_there(make())


def _twice(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.zeros(3),
        lambda: there(3).cpu(),
        lambda: there(3).to("cpu"),
        lambda: there(3).to(here(1)),
        lambda: torch.zeros_like(there(3), device="cpu"),
        lambda: there(3).new_zeros(3, device="cpu"),
        lambda: torch.tensor(there(3).tolist()),
        lambda: here(3).copy_(there(3)),
        lambda: here(3)[there(1).long()[0]],
    ],
)
def test_is_over_here(make):
    tensor = make()
    assert tensor.device.type == "cpu"
    assert not tensor.is_cuda
    tensor.numpy()


@pytest.mark.parametrize(
    "mix",
    [
        *(
            lambda a, b, op=op: op(a, b)
            for op in (operator.add, operator.mul, operator.pow, operator.lt, operator.matmul)
        ),
        lambda a, b: torch.cat([a, b]),
        lambda a, b: torch.stack([a[0, 0], b[0, 0]]),
        lambda a, b: torch.where(a > 1, a, b),
        lambda a, b: torch.where(a > 1, b, b),
        lambda a, b: a.add_(b),
        lambda a, b: a.lerp(b, 0.5),
        lambda a, b: a.clamp(b[0, 0], b[1, 1]),
        lambda a, b: torch.einsum("ij,jk->ik", a, b),
        lambda a, b: nn.functional.linear(a, b),
        lambda a, b: nn.functional.mse_loss(a, b),
        lambda a, b: torch.mm(a, a, out=b),
        lambda a, b: a.index_select(0, (b[0] > 9).long()),
        lambda a, b: torch.vmap(torch.mul)(a, b),
        lambda a, b: torch.jit.script(_sum)(a, b),
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_devices_do_not_meet(mix, swapped):
    tensors = (here(2, 2), there(2, 2)) if swapped else (there(2, 2), here(2, 2))
    with pytest.raises(RuntimeError, match="same device"):
        mix(*tensors)
    for tensor in tensors:
        mix(tensor, tensor.clone())


def _sum(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x + y


@pytest.mark.parametrize(
    "mix",
    [
        lambda: here(3) + there(1)[0],  # numbers of the GPU are none for the CPU
        lambda: torch.tensor(1.0).add_(there(3)),
        lambda: here(3)[there(3) > 1],
        lambda: here(3)[there(1).long()],
        lambda: operator.setitem(there(3), there(3) > 1, here(2)),
        lambda: operator.setitem(here(3), here(3) > 1, there(1)[0]),
        lambda: operator.setitem(here(3), there(1).long(), 0.0),
        lambda: setattr(there(3).requires_grad_(), "grad", here(3)),
    ],
)
def test_devices_do_not_meet_elsewhere(mix):
    with pytest.raises(RuntimeError):
        mix()


def test_what_may_cross():
    over = there(3)
    over.copy_(2 * here(3))
    over[:2] = here(2)
    over[over > 5] = torch.tensor(7.0)
    over[torch.tensor([1])] += 1
    assert over.tolist() == [1, 3, 7]
    assert_there(over)
    back = here(3)
    back[1:] = over[1:]
    assert (back.tolist(), back.is_cuda) == ([1, 3, 7], False)


def test_a_copy_is_a_copy_and_no_move_is_none():
    over = there(3)
    assert over.to("cuda") is over
    assert over.cuda() is over
    over.cpu().zero_()
    plain = here(3)
    plain.cuda().zero_()
    assert over.tolist() == plain.tolist() == [1, 2, 3]
    view = over[1:]
    view.zero_()
    assert over.tolist() == [1, 0, 0]


@pytest.mark.parametrize("take", [lambda t: t.numpy(), np.asarray])
def test_no_arrays_from_over_there(take):
    with pytest.raises(TypeError, match="cuda:0"):
        take(there(3))
    take(here(3))


def test_generators_belong_to_a_device():
    over, plain = torch.Generator(device="cuda").manual_seed(3), torch.Generator().manual_seed(3)
    assert isinstance(over, torch.Generator)
    assert (over.device, plain.device.type) == (CUDA, "cpu")
    drawn = torch.randn(4, generator=over, device="cuda")
    assert_there(drawn)
    assert torch.equal(drawn.cpu(), torch.randn(4, generator=plain))
    for wrong in (
        lambda: torch.randn(4, generator=over),
        lambda: torch.randperm(4, generator=plain, device="cuda"),
        lambda: torch.empty(4, device="cuda").uniform_(generator=plain),
        lambda: torch.bernoulli(here(1), generator=over),
        lambda: torch.multinomial(there(3), 2, generator=plain),
    ):
        with pytest.raises(RuntimeError, match="generator"):
            wrong()
    state = over.get_state()
    first = torch.rand(2, generator=over, device="cuda")
    over.set_state(state)
    assert torch.equal(first, torch.rand(2, generator=over, device="cuda"))
    with pytest.raises(TypeError):
        over.set_state(state.cuda())


def test_gradients_are_where_their_tensors_are():
    over, plain = there(3).requires_grad_(True), here(3).requires_grad_(True)
    loss = (over.square() + plain.cuda()).sum()
    first, second = torch.autograd.grad(loss, [over, plain], create_graph=True)
    assert_there(first)
    assert not second.is_cuda
    first.sum().backward()
    assert over.is_leaf
    assert_there(over.grad)
    assert over.grad.tolist() == [2, 2, 2]


@pytest.mark.parametrize("options", [{}, {"fused": True}, {"foreach": True}, {"foreach": False}, {"capturable": True}])
def test_optimizers(options):
    paths = {}
    for device in ("cuda", "cpu") if "capturable" not in options else ("cuda",):
        theta = torch.ones(4, device=device).requires_grad_(True)
        optimizer = torch.optim.Adam([theta], **options)
        for _ in range(2):
            theta.grad = 2 * theta.detach()
            optimizer.step()
        assert {state["exp_avg"].device.type for state in optimizer.state.values()} == {device}
        file = io.BytesIO()
        torch.save(optimizer.state_dict(), file)
        file.seek(0)
        optimizer.load_state_dict(torch.load(file, map_location=device, weights_only=True))
        optimizer.step()
        paths[device] = theta.tolist()
        assert theta.device.type == device
    assert paths["cuda"] == pytest.approx(paths.get("cpu", paths["cuda"]))
    assert paths["cuda"] != [1, 1, 1, 1]


def test_files_are_read_where_it_is_said():
    state = {"a": there(3), "b": [here(2), 3], "c": {"d": nn.Parameter(there(1))}}
    for place in ("cuda", CUDA, "cpu"):
        file = io.BytesIO()
        torch.save(state, file)
        file.seek(0)
        read = torch.load(file, map_location=place, weights_only=True)
        kinds = {read["a"].device.type, read["b"][0].device.type, read["c"]["d"].device.type}
        assert kinds == {torch.device(place).type}
        assert read["a"].tolist() == [1, 2, 3]
    with pytest.raises(RuntimeError, match="map_location"):
        torch.load(file)


def test_the_machine(double):
    assert torch.cuda.is_available()
    assert torch.cuda.device_count() == 1
    torch.cuda.synchronize(CUDA)
    torch.cuda.reset_peak_memory_stats(CUDA)
    assert torch.cuda.max_memory_allocated(CUDA) == 0
    torch.zeros(1000, device="cuda")
    torch.zeros(9000)
    assert torch.cuda.max_memory_allocated(CUDA) == 4000
    free, total = torch.cuda.mem_get_info(CUDA)
    assert 0 < free <= total == torch.cuda.get_device_properties(CUDA).total_memory
    assert torch.cuda.get_device_name("cuda:0")
    with pytest.raises(RuntimeError, match="ordinal"):
        torch.zeros(1, device="cuda:1")


def test_nothing_is_left_behind(double):
    double.__exit__(None, None, None)
    try:
        assert torch.zeros(2).device.type == "cpu"
    finally:
        double.__enter__()
