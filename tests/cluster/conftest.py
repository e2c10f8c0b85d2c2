import pytest
from offmanifold.cluster.ray_session import ray_session
from offmanifold.cluster.resources import WorkerResources


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """Where the token of every local Ray of this process is: Ray reads it once in a process."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def local_ray(home):
    """A real local Ray with two CPUs, as `run` starts it, with a token of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OMP_NUM_THREADS", raising=False)
        patch.setenv("HOME", str(home))
        with ray_session(None, WorkerResources(workers=2)):
            yield
