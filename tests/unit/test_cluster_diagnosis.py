"""What clusters say, told to the person who waits.

The words are those of the API server, scheduler and kubelet of Kubernetes 1.27 to 1.34, and of containerd 1.6 to 2.
"""

# ruff: noqa: E501 - the words stand as they are printed

from __future__ import annotations

import pytest

from stateroom.backends.diagnosis import (
    ADMISSION,
    CREATING,
    MOUNTING,
    PULL,
    SANDBOX,
    SCHEDULING,
    Trouble,
    diagnosed,
)

IMAGE = "team/notebook:1"
TABLES = (ADMISSION, SCHEDULING, MOUNTING, SANDBOX, PULL, CREATING)
_NO_VICTIMS = "preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod."
_NOT_HELPFUL = "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            (
                'pods "stateroom-ada-x" is forbidden: exceeded quota: servers, requested: limits.memory=2Gi, '
                "used: limits.memory=15Gi, limited: limits.memory=16Gi"
            ),
            "limits.memory=15Gi of limits.memory=16Gi is in use, and yours would take limits.memory=2Gi",
        ),
        (
            (
                'pods "x" is forbidden: exceeded quota: servers, requested: limits.cpu=1,limits.memory=2Gi, '
                "used: limits.cpu=8,limits.memory=16Gi, limited: limits.cpu=8,limits.memory=16Gi"
            ),
            (
                "limits.cpu=8,limits.memory=16Gi of limits.cpu=8,limits.memory=16Gi is in use, and yours would take "
                "limits.cpu=1,limits.memory=2Gi"
            ),
        ),
        (
            (
                'persistentvolumeclaims "x" is forbidden: exceeded quota: homes, requested: requests.storage=10Gi, '
                "used: requests.storage=95Gi, limited: requests.storage=100Gi"
            ),
            "requests.storage=95Gi of requests.storage=100Gi",
        ),
        ('pods "x" is forbidden: failed quota: servers: must specify limits.cpu for: proxy', "Stop a server"),
        (
            'pods "x" is forbidden: maximum memory usage per Container is 4Gi, but limit is 8Gi',
            "breaks: maximum memory usage per Container is 4Gi. Choose another size",
        ),
        (
            (
                'pods "x" is forbidden: [minimum cpu usage per Container is 500m, but request is 250m, '
                "maximum cpu usage per Pod is 1500m, but limit is 2]"
            ),
            "breaks: minimum cpu usage per Container is 500m. Choose another size",
        ),
        (
            'pods "x" is forbidden: maximum memory usage per Container is 1.5Gi, but limit is 2Gi',
            "breaks: maximum memory usage per Container is 1.5Gi. Choose another size",
        ),
        (
            'pods "x" is forbidden: cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000',
            "breaks: cpu max limit to request ratio per Container is 2. Choose another size",
        ),
        (
            (
                'pods "x" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false '
                '(container "proxy" must set securityContext.allowPrivilegeEscalation=false)'
            ),
            "security rules do not admit",
        ),
        (
            'admission webhook "validate.kyverno.svc-fail" denied the request: resource Pod/x was blocked',
            "refused the server: resource Pod/x was blocked. Tell an administrator",
        ),
        (
            'admission webhook "a.b.c" denied the request: The image must be signed.',
            "refused the server: The image must be signed. Tell an administrator",
        ),
        (
            (
                'persistentvolumeclaims "x" is forbidden: maximum storage usage per PersistentVolumeClaim is 5Gi, but '
                "request is 10Gi"
            ),
            "homes of the catalog's size break: maximum storage usage per PersistentVolumeClaim is 5Gi. Tell",
        ),
        (
            "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'images' with binding 'all' denied request: no :latest",
            "refused the server: no :latest. Tell an administrator",
        ),
        (
            'pods "x" is forbidden: error looking up service account lab/research: serviceaccount "research" not found',
            "service account that the catalog gives",
        ),
        ('pods "x" is forbidden: no PriorityClass with name notebooks was found', "priority class notebooks is not"),
        ('namespaces "lab" not found', "no namespace for servers"),
        (
            'pods "x" is forbidden: unable to create new content in namespace lab because it is being terminated',
            "no namespace for servers",
        ),
        (
            (
                'pods is forbidden: User "system:serviceaccount:lab:hub" cannot create resource "pods" in API group "" in '
                'the namespace "lab"'
            ),
            "may not create pods",
        ),
        (
            (
                'persistentvolumeclaims "x" is forbidden: User "hub" cannot get resource "persistentvolumeclaims" in API '
                'group "" in the namespace "lab"'
            ),
            "may not get persistentvolumeclaims",
        ),
    ],
)
def test_what_the_api_does_not_admit(said: str, told: str) -> None:
    assert told in diagnosed(said, ADMISSION, IMAGE)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (f"0/3 nodes are available: 3 Insufficient cpu. {_NO_VICTIMS}", "has enough cpu free"),
        (f"0/3 nodes are available: 1 Insufficient cpu, 2 Insufficient memory. {_NO_VICTIMS}", "has enough "),
        ("0/3 nodes are available: 3 Insufficient memory.", "has enough memory free"),
        ("0/3 nodes are available: 3 Insufficient ephemeral-storage.", "has enough ephemeral-storage free"),
        (f"0/3 nodes are available: 3 Insufficient nvidia.com/gpu. {_NO_VICTIMS}", "All GPUs of the cluster"),
        (f"0/3 nodes are available: 3 Insufficient amd.com/gpu. {_NO_VICTIMS}", "All GPUs of the cluster"),
        (
            (
                "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
                f"2 Insufficient memory. {_NO_VICTIMS}"
            ),
            "has enough memory free",
        ),
        (f"0/3 nodes are available: 3 Too many pods. {_NO_VICTIMS}", "are full"),
        (
            "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. " + _NOT_HELPFUL,
            "node_selector and tolerations",
        ),
        (
            "0/3 nodes are available: 3 node(s) had untolerated taint {gpu: true}. " + _NOT_HELPFUL,
            "node_selector and tolerations",
        ),
        (  # 1.34 leaves the key out, so that it may be one of a node that does not answer
            "0/3 nodes are available: 3 node(s) had untolerated taint(s). " + _NOT_HELPFUL,
            "out of order, or not meant for servers",
        ),
        (
            "0/3 nodes are available: 1 Insufficient memory, 2 node(s) didn't match pod affinity rules. " + _NO_VICTIMS,
            "Your home is in use on a node",
        ),
        ("0/3 nodes are available: 3 node(s) were unschedulable. " + _NOT_HELPFUL, "out of use"),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }. "
            + _NOT_HELPFUL.replace("3", "1"),
            "out of order",
        ),
        (
            "0/2 nodes are available: 2 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }.",
            "out of order",
        ),
        ("0/3 nodes are available: 3 node(s) had volume node affinity conflict. " + _NOT_HELPFUL, "reach your home"),
        ("0/3 nodes are available: 3 node(s) exceed max volume count. " + _NOT_HELPFUL, "reach your home"),
        (
            "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. " + _NOT_HELPFUL,
            "no storage for your home",
        ),
        (
            "0/3 nodes are available: 3 node(s) didn't find available persistent volumes to bind. " + _NOT_HELPFUL,
            "no storage for your home",
        ),
        (
            '0/3 nodes are available: persistentvolumeclaim "stateroom-home-ada" not found. ' + _NOT_HELPFUL,
            "claim stateroom-home-ada, is not in the cluster",
        ),
        (
            'running PreBind plugin "VolumeBinding": binding volumes: provisioning failed for PVC "x"',
            "no storage for your home",
        ),
        ("no nodes available to schedule pods", "has no node"),
        ("0/0 nodes are available: . preemption: 0/0 nodes are available: .", "has no node"),
    ],
)
def test_what_no_node_takes(said: str, told: str) -> None:
    assert told in diagnosed(said, SCHEDULING, IMAGE)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) stateroom-ada-x',
            "still attached to another node",
        ),
        (
            (
                'Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to one node and can\'t be '
                "attached to another"
            ),
            "still attached to another node",
        ),
        ('MountVolume.SetUp failed for volume "data" : configmap "course" not found', "needs, course, is not"),
        ('MountVolume.SetUp failed for volume "key" : secret "licence" not found', "needs, licence, is not"),
        (
            (
                'MountVolume.SetUp failed for volume "pv" : mount failed: exit status 32\nMounting command: mount\n'
                "Mounting arguments: -t nfs 10.0.0.9:/homes /var/lib/kubelet/pods/1/volumes/kubernetes.io~nfs/pv\n"
                "Output: mount.nfs: access denied by server while mounting 10.0.0.9:/homes"
            ),
            "could not be mounted",
        ),
        (
            (
                "Unable to attach or mount volumes: unmounted volumes=[home], unattached volumes=[], failed to process "
                "volumes=[]: timed out waiting for the condition"
            ),
            "could not be mounted",
        ),
        (
            'MountVolume.MountDevice failed for volume "pvc-1" : exec: "mkfs.ext4": executable file not found in $PATH',
            "could not be mounted",
        ),
        ("MountVolume.SetUp failed: mkdir /var/lib/kubelet/x: no space left on device", "disk"),
        ('MountVolume.SetUp failed for volume "a" : references non-existent secret key: password', "needs, password,"),
    ],
)
def test_what_a_node_fails_to_mount(said: str, told: str) -> None:
    assert told in diagnosed(said, MOUNTING, IMAGE)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            (
                "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "
                '"cb8a": plugin type="calico" failed (add): connection is unauthorized: Unauthorized'
            ),
            "no place in its network",
        ),
        (
            (
                'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox image "pause:3.9": '
                "failed to pull image"
            ),
            "could not begin with your server",
        ),
        (
            (
                'Failed to create pod sandbox: failed to setup network for sandbox "1": plugin type="host-local" failed '
                "(add): failed to allocate for range 0: no IP addresses available in range set: 10.1.0.1-10.1.0.254"
            ),
            "no place in its network",
        ),
    ],
)
def test_what_a_node_cannot_begin_with(said: str, told: str) -> None:
    assert told in diagnosed(said, SANDBOX, IMAGE)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            (
                'rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/team/notebook:1": failed to '
                'resolve reference "docker.io/team/notebook:1": docker.io/team/notebook:1: not found'
            ),
            "has no image",
        ),
        (
            (
                'Back-off pulling image "team/notebook:1": ErrImagePull: rpc error: code = NotFound desc = failed to pull '
                'and unpack image "docker.io/team/notebook:1": not found'
            ),
            "has no image",
        ),
        (
            (
                'failed to pull and unpack image "docker.io/team/notebook:1": failed to resolve reference '
                '"docker.io/team/notebook:1": pull access denied, repository does not exist or may require authorization: '
                "server message: insufficient_scope: authorization failed"
            ),
            "without a login",
        ),
        (
            (
                'failed to resolve reference "ghcr.io/team/notebook:1": failed to authorize: failed to fetch anonymous '
                "token: unexpected status from GET request to https://ghcr.io/token?x: 403 Forbidden"
            ),
            "without a login",
        ),
        (
            (
                'failed to resolve reference "r.example.org/a:1": unexpected status from HEAD request to '
                "https://r.example.org/v2/a/manifests/1: 401 Unauthorized"
            ),
            "without a login",
        ),
        (
            (
                'failed to resolve reference "docker.io/a:1": unexpected status code '
                "https://registry-1.docker.io/v2/library/a/manifests/1: 429 Too Many Requests - Server message: "
                "toomanyrequests: You have reached your pull rate limit."
            ),
            "too many images were fetched",
        ),
        (
            (
                'failed to do request: Head "https://r.example.org/v2/a/manifests/1": dial tcp: lookup r.example.org: no '
                "such host"
            ),
            "cannot be reached",
        ),
        (
            'failed to do request: Head "https://10.0.0.9:5000/v2/a/manifests/1": dial tcp 10.0.0.9:5000: i/o timeout',
            "cannot be reached",
        ),
        (
            'failed to do request: Head "https://10.0.0.9:5000/v2/a": http: server gave HTTP response to HTTPS client',
            "cannot be reached",
        ),
        (
            (
                'failed to do request: Head "https://r/v2/a": tls: failed to verify certificate: x509: certificate signed '
                "by unknown authority"
            ),
            "cannot be reached",
        ),
        (
            (
                'failed to resolve reference "docker.io/a:1": failed to authorize: failed to fetch anonymous token: Get '
                '"https://auth.docker.io/token": EOF'
            ),
            "cannot be reached",
        ),
        ("unexpected status from HEAD request to https://r/v2/a: 503 Service Unavailable", "cannot be reached"),
        (
            (
                'Failed to apply default image tag "A/B": couldn\'t parse image name "A/B": invalid reference format: '
                "repository name (A/B) must be lowercase"
            ),
            "no name of an image",
        ),
        ('Container image "team/notebook:1" is not present with pull policy of Never', "says never to fetch it"),
        (
            (
                'failed to pull and unpack image "docker.io/a:1": failed to extract layer sha256:1: write '
                "/var/lib/containerd/x: no space left on device: unknown"
            ),
            "disk",
        ),
        (
            'failed to pull and unpack image "docker.io/a:1": no match for platform in manifest: not found',
            "another kind of machine",
        ),
    ],
)
def test_what_a_registry_or_containerd_says(said: str, told: str) -> None:
    assert told in diagnosed(said, PULL, IMAGE)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            (
                "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create "
                'failed: unable to start container process: exec: "start-notebook.py": executable file not found in $PATH: '
                "unknown"
            ),
            "command is missing",
        ),
        (
            (
                'failed to create containerd task: OCI runtime create failed: exec: "/nowhere": stat /nowhere: no such file '
                "or directory: unknown"
            ),
            "command is missing",
        ),
        ('secret "licence" not found', "needs, licence,"),
        ('configmap "course" not found', "needs, course,"),
        ("couldn't find key PASSWORD in Secret lab/licence", "needs, PASSWORD,"),
    ],
)
def test_what_keeps_a_container_from_being_made(said: str, told: str) -> None:
    assert told in diagnosed(said, CREATING, IMAGE)


@pytest.mark.parametrize("table", [ADMISSION, SCHEDULING, PULL, CREATING])
def test_what_is_not_known_is_not_guessed(table: tuple[Trouble, ...]) -> None:
    assert diagnosed("the cluster is not in the mood", table, IMAGE) == ""


@pytest.mark.parametrize(
    "trouble", [*ADMISSION, *SCHEDULING, *MOUNTING, *SANDBOX, *PULL, *CREATING], ids=lambda trouble: trouble.words[:20]
)
def test_every_sentence_has_a_remedy(trouble: Trouble) -> None:
    assert trouble.sentence.endswith(".")
    remedies = ("ell an administrator", "Choose", "Start again", "Try again", "try again", "Stop your other server")
    assert any(remedy in trouble.sentence for remedy in remedies)


# Hostile words


@pytest.mark.parametrize(
    ("said", "table"),
    [
        ("admission webhook a denied the request: \x1b[31mred\x07\u202e\u2028{image}", ADMISSION),
        ('persistentvolumeclaim "\x1b[31m{image}\x00" not found', SCHEDULING),
        ("exceeded quota: q, requested: {limit}{image}, used: {asked}, limited: \x1b{used}", ADMISSION),
    ],
)
def test_hostile_words_are_told_as_plain_text(said: str, table: tuple[Trouble, ...]) -> None:
    told = diagnosed(said, table, "secret.example.org/image:1")
    assert told
    assert told.isprintable()
    assert "secret.example.org" not in told, "what a message holds is no template"


def test_words_that_look_like_places_of_the_sentence_stay_words() -> None:
    told = diagnosed("exceeded quota: q, requested: {limit}, used: {asked}, limited: {used}", ADMISSION, IMAGE)
    assert "{asked} of {used} is in use, and yours would take {limit}." in told


def test_an_images_name_is_no_template_either() -> None:
    said = f"0/1 nodes are available: 1 Insufficient cpu. {_NO_VICTIMS}"
    table = (Trouble(r"Insufficient (?P<what>\w+)", "{image} wants {what}."),)
    assert diagnosed(said, table, "{what}") == "{what} wants cpu."


@pytest.mark.timeout(60)  # one that grows faster than the message takes hours
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "piece",
    ["x", "exec: ", "namespace x ", "namespaces x ", "admission webhook ", "permission denied", "memory limit ", "a, ",
     "exceeded quota: ", "exceeded quota: a, requested: a, used: ", "\n", "Insufficient ", "serviceaccount a", "a.",
     'persistentvolumeclaim "', "storageclass ", "cannot a resource ", "maximum cpu usage per Pod is "],
)  # fmt: skip
def test_no_message_however_long_takes_long_or_makes_a_long_sentence(table: tuple[Trouble, ...], piece: str) -> None:
    said = piece * (1_000_000 // len(piece))
    assert len(diagnosed(said, table, IMAGE)) < 1000
