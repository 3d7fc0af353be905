#version 3.7;
global_settings { assumed_gamma 1 }
background { rgb <0.45, 0.62, 0.85> }
camera { location <0, 2.4 + View, -6> look_at <0, 0.7, 0> angle 45 right x up y }
light_source { <Sun, 6, -4> rgb 1.2 }
#declare Look = texture {
  #if (Stone = 0) pigment { rgb <0.85, 0.78, 0.62> } #end
  #if (Stone = 1) pigment { rgb <0.95, 0.95, 0.98> } #end
  #if (Stone = 2) pigment { rgb <0.55, 0.25, 0.2> } finish { reflection 0.35 } #end
}
plane { y, 0 pigment { rgb <0.35, 0.5, 0.25> } }
cylinder { 0, <0, 0.15, 0>, 1.9 texture { Look } }
#declare I = 0;
#while (I < Columns)
  #declare Angle = 2 * pi * (I + 0.5) / Columns;
  union {
    cylinder { <0, 0.15, 0>, <0, 0.15 + Height, 0>, 0.13 }
    #declare J = 1;
    #while (J <= Rings)
      torus { 0.15, 0.05 translate y * (0.15 + Height * J / (Rings + 1)) }
      #declare J = J + 1;
    #end
    translate <1.5 * cos(Angle), 0, 1.5 * sin(Angle)>
    texture { Look }
  }
  #declare I = I + 1;
#end
cylinder { <0, 0.15 + Height, 0>, <0, 0.35 + Height, 0>, 1.8 texture { Look } }
cone { <0, 0.35 + Height, 0>, 1.9, <0, 1.1 + Height, 0>, 0 pigment { rgb <0.7, 0.3, 0.2> } }
