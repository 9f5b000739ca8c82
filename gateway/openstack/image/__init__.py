"""Image v2: the route table."""

from gateway.openstack import faults
from gateway.openstack.dialect import Dialect, Route
from gateway.openstack.image import content, discovery, images, imports, members

DIALECT = Dialect(
    name="image",
    mount="/image",
    shape=faults.image,
    statuses=faults.IMAGE,
    routes=(
        Route("GET", "/", discovery.choices, 300),
        Route("GET", "/versions", discovery.versions),
        Route("GET", "/v2/schemas/{name}", discovery.schema),
        Route("GET", "/v2/images", images.listed),
        Route("POST", "/v2/images", images.create, 201),
        Route("GET", "/v2/images/{id}", images.show),
        Route("PATCH", "/v2/images/{id}", images.update),
        Route("DELETE", "/v2/images/{id}", images.delete, 204),
        Route("PUT", "/v2/images/{id}/file", content.upload, 204),
        Route("GET", "/v2/images/{id}/file", content.download),
        Route("PUT", "/v2/images/{id}/tags/{tag}", images.add_tag, 204),
        Route("DELETE", "/v2/images/{id}/tags/{tag}", images.remove_tag, 204),
        Route("POST", "/v2/images/{id}/actions/deactivate", images.deactivate, 204, administers=True),
        Route("POST", "/v2/images/{id}/actions/reactivate", images.reactivate, 204, administers=True),
        Route("GET", "/v2/info/import", imports.methods),
        Route("POST", "/v2/images/{id}/import", imports.begin, 202),
        Route("GET", "/v2/images/{id}/tasks", imports.tasks),
        Route("GET", "/v2/images/{image_id}/members", members.listed),
        Route("POST", "/v2/images/{image_id}/members", members.add),
        Route("GET", "/v2/images/{image_id}/members/{member_id}", members.show),
        Route("PUT", "/v2/images/{image_id}/members/{member_id}", members.set_status),
        Route("DELETE", "/v2/images/{image_id}/members/{member_id}", members.remove, 204),
    ),
)
