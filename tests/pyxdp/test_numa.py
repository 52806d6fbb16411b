import pytest

from dataplane.pyxdp import numa


@pytest.mark.parametrize(
    ("text", "cpus"), [("0-3,8\n", (0, 1, 2, 3, 8)), ("5\n", (5,)), ("\n", ()), ("1,3-4", (1, 3, 4))]
)
def test_a_list_of_cpus_is_read_as_the_kernel_writes_it(text, cpus):
    assert numa.cpu_list(text) == cpus


def test_a_virtual_device_is_near_no_cpu(tmp_path):
    (tmp_path / "veth0").mkdir()
    assert numa.near("veth0", tmp_path) == ()


@pytest.mark.parametrize("home", ["0000:01:00.0", "0000:01:00.0/virtio0"])
def test_the_place_of_a_device_is_that_of_its_pci_device(tmp_path, home):
    (tmp_path / home).mkdir(parents=True)
    (tmp_path / "0000:01:00.0" / "local_cpulist").write_text("4-5\n")
    (tmp_path / "net" / "eth0").mkdir(parents=True)
    (tmp_path / "net" / "eth0" / "device").symlink_to(tmp_path / home)
    assert numa.near("eth0", tmp_path / "net") == (4, 5)
