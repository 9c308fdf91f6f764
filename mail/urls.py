from django.urls import path

from mail import views

app_name = "mail"
urlpatterns = [path("<slug:provider>/", views.hook, name="hook")]
