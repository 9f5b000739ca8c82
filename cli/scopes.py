"""The scope that a token is asked for."""

from weft.identity.v1 import resources_pb2


def scope(*, project: str = "", domain: str = "Default", system: bool = False) -> resources_pb2.Scope:
    """The scope of a token: a project by name or id, or the whole system; none of them is no scope."""
    if system:
        return resources_pb2.Scope(system=True)
    if len(project) == 36 and project.count("-") == 4:
        return resources_pb2.Scope(project_id=project)
    if project:
        return resources_pb2.Scope(project=resources_pb2.NamedProject(name=project, domain_name=domain))
    return resources_pb2.Scope()
