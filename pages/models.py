from django.db import models
from django.db.models import Q


class PublicVersion(models.Model):
    """One row, whose number grows in each commit that changes what readers see."""

    number = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(pk=1), name="pages_publicversion_one_row"
            )
        ]

    def __str__(self) -> str:
        return str(self.number)
