"""Which function does which operation. What is in the service model and not here is answered with 501."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.codeartifact import copying, domains, packages, publishing, statuses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.codeartifact.registry import Call, Registry

OPERATIONS: Mapping[str, Callable[[Registry, Call], dict[str, Any]]] = {
    "AssociateExternalConnection": domains.associate_external_connection,
    "CopyPackageVersions": copying.copy_package_versions,
    "CreateDomain": domains.create_domain,
    "CreateRepository": domains.create_repository,
    "DeleteDomain": domains.delete_domain,
    "DeleteDomainPermissionsPolicy": domains.delete_policy,
    "DeletePackage": packages.delete_package,
    "DeletePackageVersions": statuses.delete_package_versions,
    "DeleteRepository": domains.delete_repository,
    "DeleteRepositoryPermissionsPolicy": domains.delete_policy,
    "DescribeDomain": domains.describe_domain,
    "DescribePackage": packages.describe_package,
    "DescribePackageVersion": packages.describe_package_version,
    "DescribeRepository": domains.describe_repository,
    "DisassociateExternalConnection": domains.disassociate_external_connection,
    "DisposePackageVersions": statuses.dispose_package_versions,
    "GetAuthorizationToken": domains.get_authorization_token,
    "GetDomainPermissionsPolicy": domains.get_policy,
    "GetPackageVersionAsset": packages.get_package_version_asset,
    "GetPackageVersionReadme": packages.get_package_version_readme,
    "GetRepositoryEndpoint": domains.get_repository_endpoint,
    "GetRepositoryPermissionsPolicy": domains.get_policy,
    "ListDomains": domains.list_domains,
    "ListPackageVersionAssets": packages.list_package_version_assets,
    "ListPackageVersionDependencies": packages.list_package_version_dependencies,
    "ListPackageVersions": packages.list_package_versions,
    "ListPackages": packages.list_packages,
    "ListRepositories": domains.list_repositories,
    "ListRepositoriesInDomain": domains.list_repositories_in_domain,
    "ListTagsForResource": domains.list_tags,
    "PublishPackageVersion": publishing.publish_package_version,
    "PutDomainPermissionsPolicy": domains.put_policy,
    "PutRepositoryPermissionsPolicy": domains.put_policy,
    "TagResource": domains.tag_resource,
    "UntagResource": domains.untag_resource,
    "UpdatePackageVersionsStatus": statuses.update_package_versions_status,
    "UpdateRepository": domains.update_repository,
}
