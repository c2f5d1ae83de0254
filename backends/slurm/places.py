"""From the settings: what of the cluster a pool is, as whom a tenant's jobs run, and what an attempt asks for. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from backends.slurm import errors, rooms, script, settings, wire
from orchestrator.domain import sites
from orchestrator.ports import backends


class Places:
    """The settings of one backend, with the pools that its document declares."""

    def __init__(self, wanted: settings.SlurmSettings, pools: Sequence[sites.Pool]) -> None:
        self._settings = wanted
        self._declared = pools

    @property
    def pools(self) -> Sequence[sites.Pool]:
        """Return the pools of the document, else those of the settings."""
        return self._declared or [sites.Pool(name) for name in self._settings.pools]

    def share_of(self, partition: str) -> settings.Share:
        """Return the first share that is of a partition."""
        found = (self.share(pool.name) for pool in self.pools if self.partition(pool.name) == partition)
        return next(found, settings.Share())

    @property
    def isolated(self) -> bool:
        """Say whether jobs of one tenant cannot reach those of another."""
        tenants = self._settings.tenants.values()
        return self._settings.shared_trust or (bool(tenants) and all(one.user is not None for one in tenants))

    @property
    def users(self) -> frozenset[str]:
        """Return as whom jobs of this backend run."""
        return frozenset({self._settings.user, *(one.user for one in self._settings.tenants.values() if one.user)})

    def who(self, user: str | None) -> tuple[str, str]:
        """Return as whom to speak: a user of the settings with the token beside it, else the one that reads."""
        for one in self._settings.tenants.values():
            if one.user is not None and one.token is not None and one.user == user:
                return one.user, one.token
        return self._settings.user, self._settings.token

    def identity(self, tenant: str) -> settings.Identity:
        """Return as whom a tenant's jobs run. Raises TransientError ``slurm.no-identity`` for one that has none."""
        if not self._settings.tenants:
            return settings.Identity()
        found = self._settings.tenants.get(tenant)
        if found is None:
            raise errors.elsewhere("no-identity", f"settings.tenants names no Slurm user for tenant {tenant}")
        return found

    def share(self, pool: str) -> settings.Share:
        """Return what of the cluster a pool is."""
        return self._settings.pools.get(pool) or settings.Share()

    def partition(self, pool: str) -> str:
        """Return the partition of a pool."""
        return self.share(pool).partition or pool

    def gres(self, pool: str) -> str:
        """Return the GRES of a pool's accelerators: as the settings have it, or by their one type of that model."""
        if (named := self.share(pool).gres) is not None:
            return named
        model = next((one.accelerator for one in self._declared if one.name == pool), None)
        types = [name for name, slug in self._settings.accelerators.items() if slug == model]
        return f"gpu:{types[0]}" if len(types) == 1 else "gpu"

    def submission(
        self, placement: backends.SealedPlacement, identity: settings.Identity, comment: str
    ) -> wire.Submission:
        """Return what is asked of Slurm for an attempt. Raises PermanentError for what no script can hold."""
        share, resources = self.share(placement.pool), placement.spec.resources
        count = resources.accelerators.count if resources.accelerators else 0
        variables = script.environment(placement, self._settings)
        minutes = 0
        if placement.time_limit is not None:  # the script ends it to the second; Slurm, should the script not
            minutes = math.ceil((placement.time_limit + placement.stop_grace).total_seconds() / 60) + 1
        return wire.Submission(
            name=str(placement.key),
            comment=comment,
            script=script.render(
                placement,
                self._settings.folder,
                variables,
                log_bytes_max=self._settings.log_bytes_max,
                bytes_max=self._settings.script_bytes_max,
                container=self._settings.container,
            ),
            partition=self.partition(placement.pool),
            path=self._settings.path,
            cpus=script.cpus(resources),
            memory_mib=math.ceil(resources.memory_bytes / rooms.MIB),
            minutes=minutes,
            gres=f"{self.gres(placement.pool)}:{count}" if count else "",
            account=identity.account or share.account,
            qos=identity.qos or share.qos,
            constraints=share.constraints,
            reservation=share.reservation,
            nodes=placement.spec.nodes,
        )
